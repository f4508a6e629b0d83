"""Draw docs/speed.svg from the newest fps.json in benchmarks/results: the tutorial's loop, ours, and the limit.

python docs/tools/chart.py            # draw it
python docs/tools/chart.py --check    # exit code 1 where the file differs
"""

import sys
from pathlib import Path
from typing import Any

from numbers_of_readme import LIVE, TUTORIAL, hardware_of, newest

PICTURE = Path(__file__).parents[1] / "speed.svg"
LIMIT = "networks alone"
BARS = {
    TUTORIAL: ("usual loop: OpenCV + PyTorch", "#9aa5b1"),
    LIVE: ("fer-deploy live", "#1d6fe0"),
    LIMIT: ("limit: both networks alone", "#d5dae1"),
}
WIDTH, LEFT, RIGHT, BAR, GAP, HEAD = 760, 220, 70, 26, 8, 34
TITLES = {
    "face-demographics-walking-and-pause.gif": "three people",
    "head-pose-face-detection-female-and-male.gif": "two people",
}


def text(x: float, y: float, words: str, *, weight: str = "normal", anchor: str = "start") -> str:
    """Return a line of text; y is its baseline, in pixels."""
    return f'<text x="{x:g}" y="{y:g}" font-weight="{weight}" text-anchor="{anchor}">{words}</text>'


def bars_of(clip: dict[str, Any], top: float, largest: float) -> list[str]:
    """Return the elements of one clip; `largest` frames/s fill the width."""
    rates = {row["variant"]: row["fps"] for row in clip["rows"]}
    lines = [text(0, top + 16, TITLES.get(clip["clip"], clip["clip"]), weight="bold")]
    for place, (variant, (label, color)) in enumerate(BARS.items()):
        y = top + HEAD - 6 + place * (BAR + GAP)
        width = rates[variant] / largest * (WIDTH - LEFT - RIGHT)
        weight = "bold" if variant == LIVE else "normal"
        lines += [
            text(LEFT - 10, y + 18, label, anchor="end", weight=weight),
            f'<rect x="{LEFT}" y="{y:g}" width="{width:.1f}" height="{BAR}" rx="3" fill="{color}"/>',
            text(LEFT + width + 8, y + 18, f"{rates[variant]:.0f}", weight=weight),
        ]
    return lines


def drawing(fps: dict[str, Any]) -> str:
    """Return the chart as SVG."""
    largest = max(row["fps"] for clip in fps["clips"] for row in clip["rows"] if row["variant"] in BARS)
    of_one = HEAD + len(BARS) * (BAR + GAP) + 6
    height = len(fps["clips"]) * of_one + 30
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="-12 -12 {WIDTH + 24} {height + 24}" width="{WIDTH + 24}" '
        f'font-family="system-ui, sans-serif" font-size="14" fill="#1a1e24">',
        "<title>Frames per second: the usual loop, fer-deploy live, and both networks alone</title>",
        f'<rect x="-12" y="-12" width="{WIDTH + 24}" height="{height + 24}" rx="8" fill="#ffffff"/>',
    ]
    for place, clip in enumerate(fps["clips"]):
        lines += bars_of(clip, place * of_one, largest)
    env = fps["environment"]
    lines.append(text(0, height - 4, f"frames per second, {hardware_of(env)}, {env['date']}"))
    return "\n".join([*lines, "</svg>", ""])


if __name__ == "__main__":
    new = drawing(newest("fps"))
    if "--check" in sys.argv[1:]:
        sys.exit(f"{PICTURE.name} differs from benchmarks/results. Fix: make docs" if PICTURE.read_text() != new else 0)
    PICTURE.write_text(new)
