"""A window on the screen, and whether there is a screen. OpenCV's toolkit aborts the process where there is none."""

import os
import re
import socket
import sys
import time
from pathlib import Path

import cv2

from fer_deploy.errors import SinkError
from fer_deploy.live.events.event_log import EventLog
from fer_deploy.live.events.keys import EventKeys
from fer_deploy.live.sinks.base import Picture, Sink
from fer_deploy.live.sinks.video.mosaic import Mosaic
from fer_deploy.vision.types import FrameResult

_SLICE_MS = 100
"""Between two looks at what the user does while a recording's next frame is not due."""
_LARGEST = 1600, 900
"""Pixels of the window at the start; the user may enlarge it."""
_KEYS_TO_QUIT = (ord("q"), 27)


class WindowSink(Sink):
    """A window that shows recordings at their own speed; q, Esc or closing it ends the loop.

    It opens at the size of the first picture, at most 1600x900.
    Several sources share it, a cell each. It answers keys and the mouse while no frame comes, too. With a log of events
    its keys note events; see `EventKeys`.
    """

    name = "window"
    needs_picture = True
    needs_main_thread = True
    live_capacity = 1

    def __init__(self, title: str, *, is_live: bool, num_sources: int = 1, events: EventLog | None = None) -> None:
        """Open the window.

        Args:
            title: above it.
            is_live: show every frame as soon as it comes; see also `become_live`.
            num_sources: cells.
            events: notes the events of the keys.

        Raises:
            SinkError: there is no screen; `why_no_screen` tells so without the toolkit's abort.
        """
        self._title, self._is_live = title, is_live
        self._mosaic = Mosaic(num_sources)
        self._is_shown = False
        self._started_ns: dict[int, int] = {}
        self._shown_s: dict[int, float] = {}
        self._keys = None if events is None else EventKeys(events)
        try:
            # GUI_NORMAL: without Qt's toolbar and status line, which take room from the picture.
            cv2.namedWindow(title, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO | cv2.WINDOW_GUI_NORMAL)
        except cv2.error as err:
            raise SinkError(f"cannot open a window: {err}. Fix: --no-display") from err

    def become_live(self) -> None:
        """Show every frame as soon as it comes, from now on."""
        self._is_live = True

    def write(self, result: FrameResult, picture: Picture | None) -> bool:
        """Show a picture; return False when the user wants to end."""
        assert picture is not None
        frame = result.frame
        whole = self._mosaic.show(frame.source, picture)
        self._shown_s[frame.source] = frame.time_s
        if self._keys is not None:
            whole = self._keys.drawn(whole)
        now_ns, time_ns = time.monotonic_ns(), int(frame.time_s * 1e9)
        due_ns = self._started_ns.setdefault(frame.source, now_ns - time_ns) + time_ns
        try:
            if not self._is_shown:
                cv2.resizeWindow(self._title, *_window_size(whole.shape[1], whole.shape[0]))
                self._is_shown = True
            cv2.imshow(self._title, whole)
        except cv2.error as err:
            raise SinkError(f"cannot show a picture: {err}. Fix: --no-display") from err
        return self._serve(1) if self._is_live else self._serve_until(due_ns)

    def idle(self) -> bool:
        """Let the toolkit handle what happened to the window; return False when the user wants to end."""
        return self._serve(1)

    def _serve_until(self, due_ns: int) -> bool:
        """Handle events until the time comes, at least once. Return whether the user wants to go on."""
        while True:
            left_ms = (due_ns - time.monotonic_ns()) // 1_000_000
            if not self._serve(min(max(1, left_ms), _SLICE_MS)):
                return False
            if left_ms <= _SLICE_MS:
                return True

    def _serve(self, wait_ms: int) -> bool:
        """Handle events for so long. Return whether the user wants to go on."""
        try:
            key = cv2.waitKey(wait_ms) & 0xFF
            is_closed = self._is_shown and cv2.getWindowProperty(self._title, cv2.WND_PROP_VISIBLE) < 1
        except cv2.error as err:
            raise SinkError(f"the window failed: {err}. Fix: --no-display") from err
        if self._keys is not None:
            self._keys.press(key, None if self._is_live else self._shown_s)
        return key not in _KEYS_TO_QUIT and not is_closed

    def close(self) -> None:
        """Close the window, unless the user has."""
        cv2.destroyAllWindows()


def _window_size(width: int, height: int) -> tuple[int, int]:
    """Return the size of a picture, or less in the same ratio where the picture may be larger than the screen."""
    scale = min(1.0, _LARGEST[0] / width, _LARGEST[1] / height)
    return max(1, round(scale * width)), max(1, round(scale * height))


def why_no_screen() -> str | None:
    """Return why no window can be opened here, as a phrase for a message, or None where one can."""
    gui = re.search(r"^\s*GUI:\s*(\S+)", cv2.getBuildInformation(), re.MULTILINE)
    if gui is None or gui[1] == "NONE":
        return "this OpenCV build has no windows (opencv-python-headless)"
    if not sys.platform.startswith("linux"):
        return None
    display = os.environ.get("DISPLAY", "")
    if not display:
        return "there is no screen (DISPLAY is not set)"
    return None if _answers(display) else f"no X server answers at DISPLAY={display}"


def _answers(display: str) -> bool:
    match = re.fullmatch(r"(?P<host>[^:]*):(?P<number>\d+)(\.\d+)?", display)
    if match is None:
        return False
    number = int(match["number"])
    local = Path(f"/tmp/.X11-unix/X{number}")
    try:
        if match["host"] in ("", "unix"):
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(1)
                connection.connect(str(local))
        else:
            socket.create_connection((match["host"], 6000 + number), timeout=1).close()
    except (OSError, ValueError, OverflowError):  # ValueError: a host name that IDNA refuses
        return False
    return True
