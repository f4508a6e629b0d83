"""The name of a file that is not whole yet."""

import os
from pathlib import Path


def unfinished_path(path: Path) -> Path:
    """Return `NAME.PID.part.SUFFIX` beside it: not hidden, since a run that was killed leaves it to be found."""
    return path.with_name(f"{path.stem}.{os.getpid()}.part{path.suffix}")
