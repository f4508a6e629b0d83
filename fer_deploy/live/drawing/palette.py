"""The color of each emotion: the same in the overlay, on the live page, in the timeline and in reports."""

from typing import Final

COLORS: Final = ("#e8616d", "#84a83f", "#b47bdb", "#f2b134", "#4a90d9", "#26b3a6", "#c3cad6", "#b5834a")
"""By a label's place among the classifier's, "#rrggbb".

They stand out from light and dark grounds, and dark letters are legible on each of them.
"""
UNSURE_COLOR: Final = "#8f8f94"


def bgr_from_hex(color: str) -> tuple[int, int, int]:
    """Return "#rrggbb" as OpenCV wants it."""
    red, green, blue = bytes.fromhex(color.removeprefix("#"))
    return blue, green, red
