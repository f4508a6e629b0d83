"""FrameMemory: frames in memory shared by two processes. It has no name, so the system frees it with the processes."""

import mmap
import os
import tempfile

import numpy as np
from numpy.typing import NDArray


def create_memory_file() -> int:
    """Return the descriptor of an empty file in memory; the caller closes it."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("fer-deploy-frames")
    handle, path = tempfile.mkstemp()  # macOS
    os.unlink(path)
    return handle


class FrameMemory:
    """A mapping of a memory file that only grows, so that earlier offsets stay valid.

    The capture process writes a frame to a slot and sends its offset; the other side copies the frame, then returns the
    slot. The callers ensure that only one side uses a slot at a time.
    """

    def __init__(self, handle: int) -> None:
        """Use a memory file; the caller opens and closes it."""
        self._handle = handle
        self._mapping: mmap.mmap | None = None
        self._capacities: dict[int, tuple[int, int]] = {}

    def write(self, slot: int, picture_bgr: NDArray[np.uint8]) -> int:
        """Copy a frame (H, W, 3) to a slot, which grows if needed, and return its offset in the file."""
        offset, capacity = self._capacities.get(slot, (0, 0))
        if capacity < picture_bgr.nbytes:
            offset = os.fstat(self._handle).st_size
            self._capacities[slot] = (offset, picture_bgr.nbytes)
            os.ftruncate(self._handle, offset + picture_bgr.nbytes)
        self._view(offset, picture_bgr.shape)[...] = picture_bgr
        return offset

    def read(self, offset: int, height: int, width: int) -> NDArray[np.uint8]:
        """Return a copy of the frame at an offset, (height, width, 3)."""
        return self._view(offset, (height, width, 3)).copy()

    def close(self) -> None:
        """Unmap the file."""
        if self._mapping is not None:
            self._mapping.close()
            self._mapping = None

    def _view(self, offset: int, shape: tuple[int, ...]) -> NDArray[np.uint8]:
        count = int(np.prod(shape))
        if self._mapping is None or offset + count > len(self._mapping):
            self.close()
            self._mapping = mmap.mmap(self._handle, 0)
        return np.frombuffer(self._mapping, np.uint8, count, offset).reshape(shape)
