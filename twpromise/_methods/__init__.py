"""The methods of one promise, and what they share: a file for each group."""
