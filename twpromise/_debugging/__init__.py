"""The inspector: what is pending, what it waits for, and who waits for it."""
