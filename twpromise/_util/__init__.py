"""What is no part of promises: arity, checks of arguments, errors, types."""
