"""Helpers of several tests: promises, foreign awaitables, outcomes, weak references."""
