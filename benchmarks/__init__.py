"""What twpromise costs, beside what one would use instead.

    python -m benchmarks            # run the benchmarks, print what came of them
    python -m benchmarks.pictures   # tables and pictures for the documentation

docs/performance.md tells what is measured, and how.
"""
