"""The bridge: Deferreds, Failures, futures and thenables, in both directions."""
