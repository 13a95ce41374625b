"""The bridge: the only room that knows Deferreds, Failures, coroutines and futures."""
