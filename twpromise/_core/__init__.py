"""The core: what a promise is, and every way in which it can change.

Read `states` first; then `settling`, `reactions` and `draining`, which is the ordinary life of a
promise; then `following` and `cancelling`.
"""
