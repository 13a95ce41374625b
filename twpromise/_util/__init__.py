"""What is no part of promises: errors of Python, arity, checks of arguments."""
