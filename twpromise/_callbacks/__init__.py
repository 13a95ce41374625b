"""Functions with callbacks into functions that return promises, and back."""
