"""What waits for several promises, or calls a function for each item."""
