"""Generators and coroutines: what drives them, and what `await` does."""
