"""The queue of jobs, and the schedulers that have it drained by a reactor."""
