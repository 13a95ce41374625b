"""``python -m twpromise``: a small HTTP service and its client, explained step by step."""

from ._demo.command import main

if __name__ == "__main__":
    main()
