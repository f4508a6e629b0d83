"""Draw bars with their values beside them: the panels of the charts of latency.py and fps.py."""

from collections.abc import Sequence

from matplotlib.axes import Axes

_ROOM_FOR_VALUES = 1.4
"""Length of the axis over that of the longest bar; the values stand in the rest."""


def draw_bars(
    panel: Axes, names: Sequence[str], values: Sequence[float], texts: Sequence[str], colors: Sequence[str]
) -> None:
    """Draw horizontal bars, the first at the top, each with its text at its end.

    Args:
        panel: the axes.
        names: of the bars, at the left.
        values: lengths, 0 or more.
        texts: at the ends of the bars, in front of any line.
        colors: of the bars.
    """
    bars = panel.barh(names, values, color=colors)
    ground = {"boxstyle": "square,pad=0.1", "facecolor": "white", "edgecolor": "none"}
    panel.bar_label(bars, list(texts), padding=4, bbox=ground)
    panel.set_xlim(0, _ROOM_FOR_VALUES * max(values))
    panel.invert_yaxis()
    panel.spines[["top", "right"]].set_visible(False)
