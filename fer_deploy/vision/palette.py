"""Palette: the colors of overlay, live page, timeline, reports and charts.

`fer_train.evaluation.palette` has the same colors. A search found them: any two differ by at least 18 in CIELAB for
people with protanopia, deuteranopia and tritanopia (Machado et al. 2009) and by 34 for all others.
"""

from typing import Final

COLORS: Final = ("#d4552c", "#9bdc81", "#9f86ff", "#f0c642", "#1f87b8", "#13dff8", "#cfcabd", "#d28080")
"""Color of each emotion, "#rrggbb", by the index of its label."""
UNSURE_COLOR: Final = "#666066"
"""For a face without a clear emotion."""
UNREADABLE_COLOR: Final = "#543c0c"
"""For a face that cannot be read: too small, blurred, turned away."""
INK: Final = "#141414"
"""For letters on each of `COLORS`."""
UNSURE_INK: Final = "#ffffff"
"""For letters on `UNSURE_COLOR` and `UNREADABLE_COLOR`."""

GOOD_COLOR: Final = COLORS[4]
"""For bars and marks of values within a limit."""
BAD_COLOR: Final = COLORS[0]
"""For bars and marks of values beyond a limit, and for limits."""
PLAIN_COLOR: Final = "#a9a4a0"
"""For what is only there for comparison."""
SHARE_MAP: Final = "Blues"
"""Matplotlib's map for shares from 0 to 1."""
CHANGE_MAP: Final = "RdBu"
"""Matplotlib's map for changes, from worse (red) to better (blue)."""


def bgr_from_hex(color: str) -> tuple[int, int, int]:
    """Return "#rrggbb" as (blue, green, red), each 0 to 255."""
    red, green, blue = bytes.fromhex(color.removeprefix("#"))
    return blue, green, red


def color_at(index: int) -> str:
    """Return the color of the label with this place among the classifier's."""
    return COLORS[index % len(COLORS)]


def ink_on(color: str) -> str:
    """Return the color of letters on a color of this palette."""
    return UNSURE_INK if color in (UNSURE_COLOR, UNREADABLE_COLOR) else INK
