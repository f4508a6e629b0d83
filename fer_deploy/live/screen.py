"""Check for a screen before OpenCV opens a window, since its toolkit aborts the process without one."""

import os
import re
import socket
import sys
from pathlib import Path

import cv2


def why_no_screen() -> str | None:
    """Return why no window can be opened here, as a phrase for a message, or None if one can."""
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
