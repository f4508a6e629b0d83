"""What an error of the operating system means: a full disk, or a fault of a disk or a network that may pass."""

import errno
from typing import Final

_FULL: Final = frozenset((errno.ENOSPC, errno.EDQUOT))
_PASSING: Final = frozenset(
    (
        errno.EAGAIN,
        errno.EBUSY,
        errno.EHOSTDOWN,
        errno.EHOSTUNREACH,
        errno.EIO,
        errno.ENETDOWN,
        errno.ENETRESET,
        errno.ENETUNREACH,
        errno.ENOTCONN,
        errno.EREMOTEIO,
        errno.ESTALE,
        errno.ETIMEDOUT,
    )
)
"""As servers and network file systems give while they restart."""


def is_full_disk(err: OSError) -> bool:
    """Return whether there is no space, or no more of a quota."""
    return err.errno in _FULL


def is_passing(err: OSError) -> bool:
    """Return whether the same call may succeed a little later."""
    return isinstance(err, ConnectionError | TimeoutError) or err.errno in _PASSING
