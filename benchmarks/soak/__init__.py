"""Soaks: what promises do for a long time, under attack, on a real reactor.

    python -m benchmarks.soak [threads] [memory] [load] [fairness] [--quick] [--reactor NAME]

Each is a program of its own, prints its figures, and fails when its statement does not hold.
"""
