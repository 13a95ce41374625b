"""The methods of one promise, a theme a file."""
