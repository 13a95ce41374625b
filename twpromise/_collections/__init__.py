"""Methods that wait for several promises, or call a function for each item."""
