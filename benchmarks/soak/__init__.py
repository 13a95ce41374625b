"""Soaks: what promises do for a long time, under attack, on a real reactor.

    python -m benchmarks.soak [NAME ...] [--quick] [--reactor NAME]

Each is a program of its own, prints its figures, and fails when its statement does not hold:
*threads*, *memory*, *load* and *fairness* are here, *programs* are the random ones of
`tests/model`, many more of them.
"""
