"""The core: what a promise is, and every way in which it can change.

Read `states`, `settling` and `resolving` first; then `subscribers`, `reactions`, `jobs` and
`draining`, which is the ordinary life of a promise; then `following`, `cancelling` and `ending`.
"""
