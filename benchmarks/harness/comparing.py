"""Compare two runs of a benchmark: which figures changed beyond their noise."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

NUM_RESAMPLES = 2000
_SAME = ("hardware", "threads", "device", "onnxruntime", "python")
"""Facts of the environment that are named where they differ."""


@dataclass(frozen=True)
class Measure:
    """A figure that two runs can compare.

    Attributes:
        name: of what was measured; the same in every run.
        value: the figure.
        low, high: its 95 % interval; None: unknown, so that no change of it can be told from noise.
        better: "lower" or "higher".
        is_ratio: whether it compares two things within one run; only such figures compare across machines.
    """

    name: str
    value: float
    low: float | None = None
    high: float | None = None
    better: Literal["lower", "higher"] = "lower"
    is_ratio: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)


def median_measure(
    name: str, samples: Sequence[float], *, better: Literal["lower", "higher"] = "lower", is_ratio: bool = False
) -> Measure:
    """Return the median of samples with the bootstrap interval of the median.

    Samples that follow each other share the machine's load; take one for each window, round or pair, not one a call.
    One sample alone tells nothing of the noise.
    """
    values = np.asarray(samples, dtype=np.float64)
    if len(values) == 1:
        return Measure(name, float(values[0]), better=better, is_ratio=is_ratio)
    drawn = np.random.default_rng(0).choice(values, (NUM_RESAMPLES, len(values)))
    low, high = np.percentile(np.median(drawn, axis=1), (2.5, 97.5))
    return Measure(name, float(np.median(values)), float(low), float(high), better, is_ratio)


def noted_measure(
    name: str,
    value: float,
    samples: Sequence[float] | None,
    *,
    better: Literal["lower", "higher"] = "lower",
    is_ratio: bool = False,
) -> Measure:
    """Return the `median_measure` of samples; None, as in results from before they were noted: the value alone."""
    if samples is None:
        return Measure(name, value, better=better, is_ratio=is_ratio)
    return median_measure(name, samples, better=better, is_ratio=is_ratio)


def exact_measure(name: str, value: float, *, better: Literal["lower", "higher"] = "lower") -> Measure:
    """Return a figure that is the same in every run and on every machine until the program or its input changes."""
    return Measure(name, value, value, value, better, is_ratio=True)


def share_measure(name: str, share: float, num: int, *, better: Literal["lower", "higher"] = "higher") -> Measure:
    """Return a share of `num` things that count independently, such as faces, with Wilson's 95 % interval."""
    if num == 0:
        return Measure(name, share, better=better, is_ratio=True)
    z = 1.96
    middle = (share + z**2 / (2 * num)) / (1 + z**2 / num)
    reach = z / (1 + z**2 / num) * math.sqrt(share * (1 - share) / num + z**2 / (4 * num**2))
    return Measure(name, share, middle - reach, middle + reach, better, is_ratio=True)


def measures_of(result: Mapping[str, Any]) -> dict[str, Measure]:
    """Return the measures of a result file by name.

    Raises:
        KeyError, TypeError: it is no result file.
        ValueError: it holds no measure.
    """
    found = {one["name"]: Measure(**one) for one in result["measures"]}
    if not found:
        raise ValueError("it holds no figure to compare")
    return found


def change_of(old: Measure, new: Measure) -> str:
    """Return "better", "worse", "within noise" or "noise unknown". Intervals that overlap are within noise."""
    if old.low is None or old.high is None or new.low is None or new.high is None:
        return "noise unknown"
    if new.low <= old.high and old.low <= new.high:
        return "within noise"
    is_lower = new.value < old.value
    return "better" if is_lower == (new.better == "lower") else "worse"


def changes_in_words(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """Return a report: differences of the environment, then every figure with its change, the changed ones first."""
    before, after = measures_of(old), measures_of(new)
    environments = [one.get("environment", one) for one in (old, new)]
    lines = [
        f"{fact} differs: {environments[0][fact]} before, {environments[1][fact]} now"
        for fact in _SAME
        if fact in environments[0] and environments[0][fact] != environments[1].get(fact)
    ]
    is_same_machine = environments[0].get("hardware") == environments[1].get("hardware")
    if not is_same_machine:
        lines.append("another machine or version: only ratios are compared")
    busy = [when for when, one in (("before", old), ("now", new)) if one.get("host", {}).get("background")]
    lines += [f"{when}, other work of this project ran on the machine" for when in busy]
    common = [name for name in after if name in before and (is_same_machine or after[name].is_ratio)]
    rows = [(change_of(before[name], after[name]), before[name], after[name]) for name in common]
    for verdict in ("worse", "better", "noise unknown", "within noise"):
        lines += [_line(was, now, found) for found, was, now in rows if found == verdict]
    lines += [f"new: {name}" for name in after if name not in before]
    lines += [f"no longer measured: {name}" for name in before if name not in after]
    num_changed = sum(found in ("worse", "better") for found, *_ in rows)
    lines.append(f"{num_changed} of {len(rows)} figures changed beyond noise")
    return "\n".join(lines)


def _line(old: Measure, new: Measure, verdict: str) -> str:
    times = f" ({new.value / old.value:.3f} times)" if old.value else ""
    return f"{verdict}: {new.name}: {_figure(old)} before, {_figure(new)} now{times}"


def _figure(one: Measure) -> str:
    interval = "" if one.low is None or one.high is None else f" [{one.low:.4g}, {one.high:.4g}]"
    return f"{one.value:.4g}{interval}"
