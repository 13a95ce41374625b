"""Tools for tests of promise code: a scheduler, and checks for what a test leaves."""
