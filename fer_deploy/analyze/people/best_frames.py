"""Best frames: where in the video each person can be seen best, by the quality of their faces."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from fer_deploy.analyze.faces_table import row_groups
from fer_deploy.vision.types import UNREADABLE, Box

_LARGE_PX: Final = 160.0
"""Faces beyond this size are not better."""
_SHARP: Final = 10.0
"""Sharpness of a sharp face; see `FaceQuality`."""
_FRONTAL: Final = 4
"""Power of the cosine of each angle."""
_FLAGGED, _NOT_DETECTED = 0.1, 0.5
"""Factors for faces that are unreadable or have a flag, and for those that the detector did not look at."""
_PLACE: Final = ("frame", "time_s", "track", "x1", "y1", "x2", "y2")
_CUT: Final = ("cut_left", "cut_top", "cut_right", "cut_bottom")
_ANGLES: Final = ("yaw_deg", "pitch_deg", "roll_deg")
_VALUES: Final = ("score", "detected", "shown", "flags", "size_px", "sharpness", *_ANGLES, *_CUT)


@dataclass(frozen=True)
class BestFrame:
    """The frame in which a person can be seen best.

    Attributes:
        track: of the person.
        frame: its index in the recording.
        time_s: of the frame.
        score: how well the face can be seen, in pixels of a sharp, frontal face.
        box: of the face.
        boxes: of all faces in the frame.
    """

    track: int
    frame: int
    time_s: float
    score: float
    box: Box
    boxes: tuple[Box, ...]


def best_frames(
    path: Path, tracks: Collection[int], *, most_frames: int | None = None, all_in_view_s: float | None = None
) -> list[BestFrame]:
    """Return the best frame of each track, in the order of the video; the first one of equals.

    The score is the size of the face times sharpness, how frontal it is, its share in the frame, and the detector's
    score. The table is read once a row group, twice with `all_in_view_s`; memory grows with the number of gaps alone.

    Args:
        path: faces.parquet.
        tracks: numbers of the tracks.
        most_frames: frames from this index on are left out; None: none.
        all_in_view_s: frames are left out if a face that is not in them was seen up to so many seconds before, or will
            be: nobody knows where it is, so it cannot be covered. A track without another frame is not in the list.
    """
    hidden = None if all_in_view_s is None else _hidden_times(path, all_in_view_s)
    best: dict[int, BestFrame] = {}
    for table in row_groups(path, (*_PLACE, *_VALUES)):
        track, frame, time_s = (table[name].to_numpy() for name in ("track", "frame", "time_s"))
        usable = np.isin(track, list(tracks))
        if most_frames is not None:
            usable &= frame < most_frames
        if hidden is not None:
            usable &= ~_is_within(time_s, hidden)
        scores = np.where(usable, _scores(table), -1.0)
        for number in np.unique(track[usable]).tolist():
            at = int(np.argmax(np.where(track == number, scores, -1.0)))
            known = best.get(number)
            if known is None or scores[at] > known.score:
                found = BestFrame(number, int(frame[at]), float(time_s[at]), float(scores[at]), _box(table, at), ())
                best[number] = found
    return _with_all_boxes(path, best)


def _scores(table: pa.Table) -> NDArray[np.float64]:
    values = {name: np.nan_to_num(table[name].to_numpy().astype(np.float64)) for name in ("score", *_ANGLES, *_CUT)}
    sides = [(table[end].to_numpy() - table[start].to_numpy()).clip(1) for start, end in (("x1", "x2"), ("y1", "y2"))]
    sharpness = np.nan_to_num(table["sharpness"].to_numpy().astype(np.float64), nan=_SHARP)
    scores: NDArray[np.float64] = np.sqrt(sides[0] * sides[1].astype(np.float64)).clip(max=_LARGE_PX)
    scores *= (sharpness / _SHARP).clip(0.01, 1.0) * values["score"].clip(0.01, 1.0)
    for name in _ANGLES:
        scores *= np.cos(np.radians(values[name])).clip(0.01) ** _FRONTAL
    scores *= 1.0 - np.max([values[name] for name in _CUT], axis=0).clip(0.0, 0.99)
    scores *= np.where(table["detected"].to_numpy(), 1.0, _NOT_DETECTED)
    flags, shown = (np.asarray(table[name].to_pylist(), dtype=object) for name in ("flags", "shown"))
    return scores * np.where((flags != "") | (shown == UNREADABLE), _FLAGGED, 1.0)


def _box(table: pa.Table, row: int) -> Box:
    return Box(*(int(table[name][row].as_py()) for name in ("x1", "y1", "x2", "y2")))


def _with_all_boxes(path: Path, best: dict[int, BestFrame]) -> list[BestFrame]:
    """Add the boxes of all faces in the same frames."""
    boxes: dict[int, list[Box]] = {one.frame: [] for one in best.values()}
    for table in row_groups(path, _PLACE):
        here = np.flatnonzero(np.isin(table["frame"].to_numpy(), list(boxes)))
        for row in here.tolist():
            boxes[table["frame"][row].as_py()].append(_box(table, row))
    ordered = sorted(best.values(), key=lambda one: (one.frame, one.track))
    return [BestFrame(one.track, one.frame, one.time_s, one.score, one.box, tuple(boxes[one.frame])) for one in ordered]


def _hidden_times(path: Path, seconds: float) -> NDArray[np.float64]:
    """Return times, (N, 2), between which a face that is not in view was seen up to `seconds` before, or will be.

    Both ends are exclusive; the intervals are in order and do not overlap.
    """
    last: dict[int, tuple[int, float]] = {}
    found: list[tuple[float, float]] = []
    for table in row_groups(path, _PLACE[:3]):
        for frame, time_s, track in zip(*(table[name].to_pylist() for name in _PLACE[:3]), strict=True):
            last_frame, last_s = last.get(track, (-2, float("-inf")))
            if frame - last_frame != 1:
                found += [(last_s, min(last_s + seconds, time_s)), (max(time_s - seconds, last_s), time_s)]
            last[track] = frame, time_s
    found += [(last_s, last_s + seconds) for _, last_s in last.values()]
    merged: list[list[float]] = []
    for start_s, end_s in sorted(one for one in found if one[1] > one[0]):
        if merged and start_s < merged[-1][1]:
            merged[-1][1] = max(merged[-1][1], end_s)
        else:
            merged.append([start_s, end_s])
    return np.asarray(merged, dtype=np.float64).reshape(-1, 2)


def _is_within(times_s: NDArray[np.float64], spans: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return whether each time is inside of one of the spans, whose ends are exclusive."""
    if not len(spans):
        return np.zeros(len(times_s), dtype=np.bool_)
    before = np.searchsorted(spans[:, 0], times_s, side="left") - 1
    return np.asarray((before >= 0) & (times_s < spans[before.clip(0), 1]))
