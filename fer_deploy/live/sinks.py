"""Where results go: a JSONL file, an annotated video, a window. All run in the main thread."""

import json
import os
import shutil
import time
from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import cv2
import numpy as np
from numpy.typing import NDArray

from fer_deploy.errors import ConfigError, SinkError
from fer_deploy.vision.types import FrameResult

Picture = NDArray[np.uint8]
MIN_FREE_BYTES = 16 * 2**20
"""Recording stops before the disk is full: OpenCV does not report a failed write, and the index comes last."""
_FOURCC = {".mp4": "mp4v", ".avi": "MJPG", ".mkv": "mp4v"}
_KEYS_TO_QUIT = (ord("q"), 27)


class Sink(ABC):
    """An output of the loop; a context manager, so that it is finalized however the loop ends.

    Each sink has a thread of its own, which alone calls `write`, `idle` and `close`. With a recording the loop waits
    for a slow sink; live it drops the oldest results that wait for it, counts them, and goes on without a sink that
    failed.

    Attributes:
        name: for people and reports, such as "jsonl".
        needs_picture: whether `write` looks at the annotated picture; if no sink does, none is drawn.
        needs_main_thread: windows do; at most one sink of a loop may.
        live_capacity: results that may wait for it in live mode, at least 1.
    """

    name = "sink"
    needs_picture = False
    needs_main_thread = False
    live_capacity = 8

    @abstractmethod
    def write(self, result: FrameResult, picture: Picture | None) -> bool:
        """Take one frame. Return False to ask the loop to end.

        Raises:
            SinkError: it cannot be written.
        """

    def idle(self) -> bool:
        """Do what is due while no result comes, about ten times a second. Return False to ask the loop to end."""
        return True

    def close(self) -> None:
        """Finalize; called once.

        Raises:
            SinkError: what was written is incomplete.
        """
        return None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, err: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class JsonlSink(Sink):
    """One JSON object a frame and line, flushed at once, so that it can be followed and survives a kill."""

    def __init__(self, path: Path) -> None:
        """Create the file, and its folder; an existing file is replaced."""
        self._path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("w", encoding="utf-8", buffering=1)
        except OSError as err:
            raise SinkError(f"cannot write {path}: {err.strerror}. Fix: another --jsonl") from err

    def write(self, result: FrameResult, picture: Picture | None) -> bool:
        """Append a line."""
        try:
            self._file.write(json.dumps(json_from_result(result)) + "\n")
        except OSError as err:
            raise SinkError(f"cannot write {self._path}: {err.strerror}. The lines before are whole") from err
        return True

    def close(self) -> None:
        """Close the file."""
        try:
            self._file.close()
        except OSError as err:
            raise SinkError(f"cannot finish {self._path}: {err.strerror}") from err


def json_from_result(result: FrameResult) -> dict[str, Any]:
    """Return the JSONL object of a frame: index, time, and for each face box, emotion and probabilities."""
    frame = result.frame
    faces = [
        {
            "box_xyxy": [face.box.x1, face.box.y1, face.box.x2, face.box.y2],
            "emotion": face.emotion.label,
            "confidence": round(face.emotion.confidence, 4),
            "probs": {label: round(p, 4) for label, p in face.emotion.probs.items()},
        }
        for face in result.faces
    ]
    named = {"name": frame.name} if frame.name else {}
    return {"frame": frame.index, "time_s": round(frame.time_s, 4), **named, "faces": faces}


class VideoSink(Sink):
    """An annotated video. Written under a temporary name; takes its own name when it is whole."""

    needs_picture = True

    def __init__(self, path: Path, fps: float) -> None:
        """Check suffix and folder; the writer is opened with the first frame, whose size it takes.

        Raises:
            ConfigError: the suffix names no known container.
            SinkError: the folder cannot be written.
        """
        if path.suffix.lower() not in _FOURCC:
            raise ConfigError(f"cannot record {path}: known video suffixes are {', '.join(_FOURCC)}")
        self._path, self._fps = path, fps
        self._part = path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix}")
        self._writer: cv2.VideoWriter | None = None
        self._size = (0, 0)
        self._num_frames = 0
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._part.touch()
        except OSError as err:
            raise SinkError(f"cannot write {path}: {err.strerror}. Fix: another --record") from err

    def write(self, result: FrameResult, picture: Picture | None) -> bool:
        """Append a picture; one of another size than the first is fitted into it."""
        assert picture is not None
        free = shutil.disk_usage(self._path.parent).free
        if free < MIN_FREE_BYTES:
            raise SinkError(
                f"disk full: {free / 2**20:.0f} MiB left for {self._path}, which holds the frames up to here. "
                "Fix: free some space, or --record on another disk"
            )
        if self._writer is None:
            self._open(picture)
        assert self._writer is not None
        self._writer.write(fit_picture(picture, self._size))
        self._num_frames += 1
        return True

    def _open(self, picture: Picture) -> None:
        height, width = picture.shape[:2]
        self._size = (width - width % 2, height - height % 2)  # the codecs want even sides
        fourcc = cv2.VideoWriter.fourcc(*_FOURCC[self._path.suffix.lower()])
        self._writer = cv2.VideoWriter(str(self._part), cv2.CAP_FFMPEG, fourcc, self._fps, self._size)
        if not self._writer.isOpened():
            raise SinkError(f"OpenCV cannot encode {self._path} ({width}x{height}). Fix: --record to .avi")

    def close(self) -> None:
        """Finalize the video, prove that it holds every frame, and give it its name."""
        if self._writer is not None:
            self._writer.release()
            self._writer = None
        if self._num_frames == 0:
            self._part.unlink(missing_ok=True)
            return
        check = cv2.VideoCapture(str(self._part), cv2.CAP_FFMPEG)
        num_readable = int(check.get(cv2.CAP_PROP_FRAME_COUNT)) if check.isOpened() else 0
        check.release()
        if num_readable != self._num_frames:
            raise SinkError(
                f"{self._part} is incomplete: {num_readable} of {self._num_frames} frames can be read. "
                "Fix: free some disk space and record again"
            )
        os.replace(self._part, self._path)


def fit_picture(picture: Picture, size: tuple[int, int]) -> Picture:
    """Return the picture at (width, height), scaled to fit and centered on black where its shape differs."""
    height, width = picture.shape[:2]
    if (width, height) == size:
        return picture
    scale = min(size[0] / width, size[1] / height)
    inner = max(1, round(width * scale)), max(1, round(height * scale))
    canvas = np.zeros((size[1], size[0], 3), dtype=np.uint8)
    left, top = (size[0] - inner[0]) // 2, (size[1] - inner[1]) // 2
    canvas[top : top + inner[1], left : left + inner[0]] = cv2.resize(picture, inner)
    return canvas


class WindowSink(Sink):
    """A window that shows recordings at their own speed; q, Esc or closing it ends the loop."""

    needs_picture = True

    def __init__(self, title: str, *, is_live: bool) -> None:
        """Open the window; `is_live` shows every frame as soon as it comes."""
        self._title, self._is_live = title, is_live
        self._started_ns: int | None = None
        try:
            cv2.namedWindow(title, cv2.WINDOW_NORMAL)
        except cv2.error as err:
            raise SinkError(f"cannot open a window: {err}. Fix: --no-display") from err

    def write(self, result: FrameResult, picture: Picture | None) -> bool:
        """Show a picture; return False when the user wants to end."""
        assert picture is not None
        if self._started_ns is None:
            cv2.resizeWindow(self._title, picture.shape[1], picture.shape[0])
            self._started_ns = time.monotonic_ns() - int(result.frame.time_s * 1e9)
        cv2.imshow(self._title, picture)
        due_ns = self._started_ns + int(result.frame.time_s * 1e9)
        wait_ms = 1 if self._is_live else max(1, (due_ns - time.monotonic_ns()) // 1_000_000)
        key = cv2.waitKey(wait_ms) & 0xFF
        closed = cv2.getWindowProperty(self._title, cv2.WND_PROP_VISIBLE) < 1
        return key not in _KEYS_TO_QUIT and not closed

    def close(self) -> None:
        """Close the window, unless the user has."""
        cv2.destroyAllWindows()
