"""What every folder uses: the arity rule, checks of arguments, errors, types."""
