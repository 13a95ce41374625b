"""What several tests need: promises, what they follow, what came of them, what is freed."""
