"""Where the queue meets the reactor."""
