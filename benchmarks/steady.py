"""The single operations under pyperf: `python -m benchmarks.steady -o results.json`.

pyperf calibrates, warms up, and runs each in many processes; `python -m pyperf compare_to` tells
whether two such files differ by more than noise.  It takes minutes, and all of pyperf's options.
"""

from __future__ import annotations

from functools import partial
from time import perf_counter

import pyperf

from .machine import installed
from .micro import OPERATIONS, PROGRAMS, Program


def timed(make: Program, number: int, loops: int) -> float:
    """Seconds that so many runs of a program take."""
    run = make(number)
    began = perf_counter()
    for _ in range(loops):
        run()
    return perf_counter() - began


def main() -> None:
    """Run every program for every library."""
    runner = pyperf.Runner(program_args=("-m", "benchmarks.steady"))
    for operation, by_library in PROGRAMS.items():
        _, number = OPERATIONS[operation]
        for library, make in by_library.items():
            if library == "pypi" and not installed("promise"):
                continue
            runner.bench_time_func(
                f"{operation}-{library}", partial(timed, make, number), inner_loops=number
            )


if __name__ == "__main__":
    main()
