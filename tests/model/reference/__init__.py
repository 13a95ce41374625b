"""A small promise, written from the Promises/A+ text, bluebird's pages and the design alone.

It is meant to be read, not to be fast: one queue of functions; consumers in a list; a consumer
is an object with `notify`, and the source of a promise one with `abandon`.  What it says is
what `Promise` must do, turn by turn.
"""
