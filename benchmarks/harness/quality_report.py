"""Write the report of quality.py: tables in Markdown and the curves. Measures nothing."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from harness.measuring import markdown_table
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fer_deploy.vision import quality
from fer_deploy.vision.palette import BAD_COLOR, COLORS, GOOD_COLOR, PLAIN_COLOR

Row = Mapping[str, Any]
STATED_ACCURACY: Final = 0.8
"""The limits stand about where the accuracy falls below this."""
FEWEST_FACES: Final = 10
"""Points of fewer faces are in the table alone."""


class Panel(NamedTuple):
    """One direction: the kinds of points in it, the axis, and the limits.

    Attributes:
        title: words.
        axis: name and unit of the measured number.
        whats: `what` of its points.
        limits: values beyond which the flag is set.
        ticks: of a logarithmic axis; empty: the axis is linear.
    """

    title: str
    axis: str
    whats: tuple[str, ...]
    limits: tuple[float, ...]
    ticks: tuple[float, ...] = ()


PANELS: Final = (
    Panel("size", "pixels of the face's box", ("size",), (quality.SMALLEST_FACE_PX,), (8, 12, 16, 24, 32)),
    Panel("sharpness", "gradient² / variance", ("blur",), (quality.LEAST_SHARPNESS,)),
    Panel("brightness", "mean gray level", ("dark", "bright"), quality.BRIGHTNESS),
    Panel("contrast", "deviation in gray levels", ("contrast",), (quality.LEAST_CONTRAST,), (2, 5, 10, 20, 40)),
    Panel("grain", "variance of the Laplacian / variance", ("noise",), (quality.MOST_GRAIN,), (1, 2, 5, 10)),
    Panel("roll", "degrees", ("tilt",), (quality.MOST_ROLL_DEG,)),
    Panel("yaw", "degrees, either side", ("yaw",), (quality.MOST_YAW_DEG,)),
    Panel("pitch", "degrees, up", ("pitch",), quality.PITCH_DEG),
    Panel(
        "cut off by an edge",
        "share of the network's square",
        ("cut below", "cut above", "cut left", "cut right"),
        (quality.MOST_CUT_BELOW, quality.MOST_CUT_ELSEWHERE),
    ),
)


def _points(result: Row, what: str) -> list[Row]:
    """Return the points of one kind, by their value."""
    found = [row for row in (*result["points"], *result["poses"]) if row["what"] == what]
    return sorted(found, key=lambda row: row["value"])


_LABELS = {"ferplus": "FER+'s majority", "fer2013": "FER2013's labels"}
_AGREED = {"ferplus": " on which a majority of FER+'s taggers agrees", "fer2013": ", by FER2013's labels"}


def _label_set(result: Row) -> str:
    """Return the labels that the model was judged by; results from before they were noted had FER+'s."""
    return str(result.get("label_set", "ferplus"))


def as_markdown(result: Row) -> str:
    """Return the report as Markdown."""
    env = result["environment"]
    lines = [
        f"# Quality of faces, {env['hardware']}",
        "",
        f"{env['date']}, Python {env['python']}, {env['engine']}.",
        "",
        f"    {env['command']}",
        "",
        f"{result['faces']:,} of the {result['all_faces']:,} faces of PublicTest{_AGREED[_label_set(result)]}: "
        f"{result['clean']:.1%} right as they are. Value: the median of the measured number, and 5 to 95 %. "
        "Flagged: faces with the flag of this direction.",
        "",
        *markdown_table([_cells(row) for row in result["points"]], digits=2),
        "",
        "## Yaw and pitch",
        "",
        "All faces, as they are, by the landmarks of YuNet.",
        "",
        *markdown_table([_pose_cells(row) for row in result["poses"]], digits=2),
        "",
        "## Flags of faces as they are",
        "",
        *markdown_table([_flag_cells(row) for row in result["flags"]], digits=2),
    ]
    if result["clips"]:
        lines += ["", "## Flags in clips", "", *markdown_table(list(_clip_cells(result["clips"])), digits=2)]
    return "\n".join([*lines, ""])


def _cells(row: Row) -> dict[str, object]:
    return {
        "what": row["what"],
        "amount": row["amount"],
        "measure": row["measure"],
        "value": row["value"],
        "5 to 95 %": " to ".join(f"{bound:.3g}" for bound in row["range"]),
        "accuracy": f"{row['accuracy']:.1%}",
        "flag": row["flag"],
        "flagged": f"{row['flagged']:.1%}",
    }


def _pose_cells(row: Row) -> dict[str, object]:
    low, high = row["range"]
    return {
        "angle": row["what"],
        "degrees": f"{low} to {high}",
        "faces": row["faces"],
        "right": f"{row['accuracy']:.1%}",
    }


def _flag_cells(row: Row) -> dict[str, object]:
    right = "-" if row["accuracy"] is None else f"{row['accuracy']:.1%}"
    return {"flag": row["flag"], "faces": row["faces"], "right": right}


def _clip_cells(clips: Sequence[Row]) -> Iterator[dict[str, object]]:
    for clip in clips:
        flags = ", ".join(f"{flag} {num}" for flag, num in clip["flags"].items() if num) or "none"
        medians = {name: float(value) for name, value in clip["medians"].items()}
        yield {"clip": clip["clip"], "faces": clip["faces"], "with a flag": clip["flagged"], "flags": flags, **medians}


def write_chart(result: Row, path: Path) -> None:
    """Draw the accuracy over each measured number, with its limits."""
    figure = Figure(figsize=(11, 8.4), layout="constrained")
    for axes, panel in zip(figure.subplots(3, 3, sharey=True).flat, PANELS, strict=True):
        _draw(axes, panel, result)
    against = _LABELS[_label_set(result)]
    title = f"accuracy against {against} by quality; gray: {STATED_ACCURACY:.0%}, and faces as they are"
    figure.suptitle(title, fontsize="medium")
    figure.savefig(path, dpi=120)


def _draw(axes: Axes, panel: Panel, result: Row) -> None:
    if panel.ticks:
        axes.set_xscale("log")
        axes.set_xticks(panel.ticks, [f"{tick:g}" for tick in panel.ticks])
        axes.minorticks_off()
    axes.axhline(100 * STATED_ACCURACY, color=PLAIN_COLOR, linewidth=0.8)
    axes.axhline(100 * result["clean"], color=PLAIN_COLOR, linewidth=0.8, linestyle=":")
    for number, limit in enumerate(panel.limits):
        axes.axvline(limit, color=BAD_COLOR, linestyle="--", label="limit" if number == 0 else None)
    colors = (GOOD_COLOR, COLORS[2], COLORS[7], COLORS[1])
    for what, color in zip(panel.whats, colors, strict=False):
        points = [row for row in _points(result, what) if row.get("faces", FEWEST_FACES) >= FEWEST_FACES]
        values = [row["value"] for row in points]
        label = what if len(panel.whats) > 1 else None
        axes.plot(values, [100 * row["accuracy"] for row in points], "o-", color=color, markersize=4, label=label)
    axes.set(title=panel.title, xlabel=panel.axis, ylim=(30, 100))
    axes.spines[["top", "right"]].set_visible(False)
    if axes.get_subplotspec() is not None and axes.get_subplotspec().is_first_col():  # type: ignore[union-attr]
        axes.set_ylabel("accuracy, %")
    if panel is PANELS[0] or len(panel.whats) > 1:
        axes.legend(frameon=False, fontsize=8, loc="lower right" if panel is PANELS[0] else "lower center")
