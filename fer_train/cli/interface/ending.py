"""run: a command line whose process ends in order while threads are left that nobody waits for."""

import atexit
import contextlib
import os
import sys
import threading
from collections.abc import Callable

_BY_SIGINT = 130
_UNWRITTEN = 120
"""Python's own code where standard output or error cannot be flushed at its end."""


def run(main: Callable[[], object]) -> None:
    """Call `main`, and see to it that its exit code is that of the process.

    A thread that was given up, as after a write to a lost disk, may be inside OpenCV or ONNX Runtime when Python ends.
    It then wants Python's lock, Python ends the thread instead, and C++ aborts the process (exit code 134). So if
    daemon threads are left after all other work of the end, the process ends without this last step.
    """
    ending = _Ending()
    atexit.register(ending.end)  # the first one is called last
    try:
        main()
    except SystemExit as err:
        ending.code = err.code if isinstance(err.code, int) else int(err.code is not None)
        raise
    except KeyboardInterrupt:
        ending.code = _BY_SIGINT
        raise
    except BaseException:
        ending.code = 1
        raise


class _Ending:
    code = 0

    def end(self) -> None:
        """End the process now if a thread is left."""
        if threading.active_count() == 1:
            return
        for stream in (sys.stdout, sys.stderr):
            try:
                with contextlib.suppress(ValueError, AttributeError):  # closed
                    stream.flush()
            except OSError:  # a full disk, or nobody reads it
                self.code = _UNWRITTEN
        os._exit(self.code)
