"""Which of the user's functions is running."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import FrameType

__all__ = ["PACKAGE", "calling"]

#: The folder of this package, with the separator: a package whose name only starts like this one is
#: the user's.
PACKAGE = str(Path(__file__).parent.parent) + os.sep


def calling() -> FrameType:
    """The innermost function outside of this package that is being called."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(PACKAGE):
        frame = frame.f_back
    return frame
