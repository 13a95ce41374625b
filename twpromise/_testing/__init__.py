"""What tests of promise code need: a scheduler of their own, and checks for what they leave."""
