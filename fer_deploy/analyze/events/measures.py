"""Measures of one person during one event, weighted by the time that each frame lasts."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fer_deploy.analyze.events.event_list import Event
from fer_deploy.analyze.events.exclusions import Range, overlap_s, within
from fer_deploy.analyze.people.rows import Rows
from fer_deploy.vision.derived_valence import DERIVED_VALENCE, derived_valence, has_derived_valence
from fer_deploy.vision.types import UNREADABLE, UNSURE

_DIGITS = 4
_SHORTEST_S = 1e-9
"""Less of a frame, or of an event, is an error of rounding."""
_TOUCHED_S = 1e-3
"""A frame with less inside has no peak and is no change: BORIS, ELAN and the report round times to milliseconds."""


def measure_columns(labels: Sequence[str]) -> dict[str, type]:
    """Return the columns of `Measures.row` and their types."""
    times = ("visible_s", "readable_s", "coverage", "excluded_s")
    shares = (f"share_{label}" for label in (*labels, UNSURE, UNREADABLE))
    probs = (f"{measure}_{label}" for label in labels for measure in ("mean", "sd", "peak", "time_to_peak_s"))
    valence = (f"{measure}_{DERIVED_VALENCE}" for measure in ("mean", "sd"))
    return {**dict.fromkeys((*times, *shares), float), "num_changes": int, **dict.fromkeys((*probs, *valence), float)}


class Measures:
    """Takes the faces of a person in the order of the video; `row` has the numbers at the end."""

    def __init__(self, event: Event, labels: Sequence[str], excluded: Sequence[Range] = ()) -> None:
        """Start with nothing seen.

        Args:
            event: the stretch of the video.
            labels: of the model.
            excluded: ranges of the video that do not count, in order and without overlap.
        """
        self._event, self._labels = event, labels
        self._excluded = within(excluded, event.start_s, event.end_s)
        self._touched_s = min(_TOUCHED_S, event.duration_s / 4)
        self._shown_s = dict.fromkeys((*labels, UNSURE, UNREADABLE), 0.0)
        self._sum: NDArray[np.float64] = np.zeros(len(labels))
        self._sum_of_squares: NDArray[np.float64] = np.zeros(len(labels))
        self._peak: NDArray[np.float64] = np.full(len(labels), -1.0)
        self._peak_s: NDArray[np.float64] = np.zeros(len(labels))
        self._valence_sums = (0.0, 0.0) if has_derived_valence(labels) else None
        self._last_emotion = ""
        self._num_changes = 0

    def add(self, rows: Rows) -> None:
        """Add faces.

        Those outside of the event or in an excluded range do not count, and frames at the borders count in part.
        """
        event = self._event
        inside = rows.where((rows.end_s > event.start_s) & (rows.start_s < event.end_s))
        weights = overlap_s(inside.start_s, inside.end_s, event.start_s, event.end_s)
        weights = weights - sum(overlap_s(inside.start_s, inside.end_s, *one) for one in self._excluded)
        counts = weights > _SHORTEST_S  # 0.1 + 0.2 ends after a frame that begins at 0.3
        inside, weights = inside.where(counts), weights[counts]
        for label in set(inside.shown.tolist()):
            self._shown_s[label] += float(weights[inside.shown == label].sum())
        is_readable = inside.shown != UNREADABLE
        self._add_probs(inside.where(is_readable), weights[is_readable])
        is_more_than_touched = weights > self._touched_s
        self._add_peaks(inside.where(is_readable & is_more_than_touched))
        self._add_changes(inside.where(is_more_than_touched))

    def _add_changes(self, rows: Rows) -> None:
        emotions = [label for label in rows.shown.tolist() if label not in (UNSURE, UNREADABLE)]
        if emotions:
            before = [self._last_emotion or emotions[0], *emotions[:-1]]
            self._num_changes += sum(then != now for then, now in zip(before, emotions, strict=True))
            self._last_emotion = emotions[-1]

    def _add_probs(self, rows: Rows, weights: NDArray[np.float64]) -> None:
        if not len(weights):
            return
        self._sum += weights @ rows.probs
        self._sum_of_squares += weights @ rows.probs**2
        if self._valence_sums is not None:
            valence = derived_valence(rows.probs, self._labels)
            once, squared = self._valence_sums
            self._valence_sums = once + float(weights @ valence), squared + float(weights @ valence**2)

    def _add_peaks(self, rows: Rows) -> None:
        if not len(rows.place):
            return
        highest = rows.probs.argmax(axis=0)
        peak = rows.probs[highest, np.arange(len(self._labels))]
        self._peak_s = np.where(peak > self._peak, rows.start_s[highest], self._peak_s)
        self._peak = np.maximum(peak, self._peak)

    def row(self) -> dict[str, float | int | None]:
        """Return the values of `measure_columns`; None where the person was not visible, or never readable."""
        visible_s = sum(self._shown_s.values())
        readable_s = visible_s - self._shown_s[UNREADABLE]
        is_seen, is_read, has_peak = visible_s > 0, readable_s > _SHORTEST_S, self._peak.max() >= 0
        excluded_s = sum(end_s - start_s for start_s, end_s in self._excluded)
        counted_s = self._event.duration_s - excluded_s
        row: dict[str, float | int | None] = {
            "visible_s": round(visible_s, _DIGITS),
            "readable_s": round(readable_s, _DIGITS),
            "coverage": round(readable_s / counted_s, _DIGITS) if counted_s > _SHORTEST_S else None,
            "excluded_s": round(excluded_s, _DIGITS),
        }
        for label, seconds in self._shown_s.items():
            row[f"share_{label}"] = round(seconds / visible_s, _DIGITS) if is_seen else None
        row["num_changes"] = self._num_changes if is_read else None
        mean = self._sum / readable_s if is_read else np.zeros(len(self._labels))
        variance = self._sum_of_squares / readable_s - mean**2 if is_read else mean
        for index, label in enumerate(self._labels):
            after_s = max(0.0, float(self._peak_s[index]) - self._event.start_s)
            values = mean[index], max(0.0, variance[index]) ** 0.5, self._peak[index], after_s
            for name, value in zip(("mean", "sd", "peak", "time_to_peak_s"), values, strict=True):
                is_known = is_read if name in ("mean", "sd") else has_peak
                row[f"{name}_{label}"] = round(float(value), _DIGITS) if is_known else None
        row |= {f"{measure}_{DERIVED_VALENCE}": None for measure in ("mean", "sd")}
        if is_read and self._valence_sums is not None:
            valence, squared = (total / readable_s for total in self._valence_sums)
            row[f"mean_{DERIVED_VALENCE}"] = round(valence, _DIGITS)
            row[f"sd_{DERIVED_VALENCE}"] = round(max(0.0, squared - valence**2) ** 0.5, _DIGITS)
        return row
