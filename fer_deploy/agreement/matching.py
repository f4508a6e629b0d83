"""Find the face of each coded moment in the results."""

import difflib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fer_deploy.agreement.codes import Code
from fer_deploy.agreement.tables import VideoResult
from fer_deploy.errors import ConfigError
from fer_deploy.vision.types import UNREADABLE, UNSURE

NO_FACE: Final = "no face"
"""Result where the video has no such face."""
MIN_IOU: Final = 0.3
"""Least overlap of a coded box with that of a result, as intersection over union."""
MAX_APART_S: Final = 0.5
"""Largest distance between a coded time and the nearest frame."""


class Moment(NamedTuple):
    """One coded frame of one face, and its result.

    Attributes:
        code: label of the person who coded.
        raw: the network's label for this frame, or `NO_FACE`.
        shown: the shown label, "unsure", "unreadable" or `NO_FACE`.
        who: whose face it is, for the bootstrap; empty where there is no face.
    """

    code: str
    raw: str
    shown: str
    who: str


def moments(codes: Sequence[Code], results: Sequence[VideoResult], path: Path) -> list[Moment]:
    """Return the coded moments; an interval gives one for each of its frames.

    Codes "unsure" and "unreadable" are left out: the person who coded could not tell either.

    Args:
        codes: at least one.
        results: of the same model.
        path: of the codes, for messages.

    Raises:
        ConfigError: a code names an unknown video or label, does not say whose face it is, or a face is coded twice.
    """
    labels = results[0].labels
    lines_of: dict[tuple[str, int, object], int] = {}
    found = []
    for code in codes:
        where = f"{path}, line {code.line}"
        result = _result_of(code, results, where)
        if code.label in (UNSURE, UNREADABLE):
            continue
        _check_label(code.label, labels, where)
        for frame in _frames_of(code, result, where):
            row = _row_of(code, result, frame, where)
            face = (code.person, code.track, code.box_xyxy) if row is None else row
            key = str(result.path), frame, face
            if key in lines_of:
                raise ConfigError(
                    f"{path}: lines {lines_of[key]} and {code.line} code the same face in frame {frame} of "
                    f"{result.name}. Fix: one code for each face and moment, and one file for each person who codes"
                )
            lines_of[key] = code.line
            found.append(_moment(code, result, row))
    return found


def _moment(code: Code, result: VideoResult, row: int | None) -> Moment:
    if row is None:
        return Moment(code.label, NO_FACE, NO_FACE, "")
    person, track = int(result.person[row]), int(result.track[row])
    who = code.participant or f"{result.path}: {f'person {person}' if person else f'track {track}'}"
    return Moment(code.label, str(result.emotion[row]), str(result.shown[row]), who)


def _result_of(code: Code, results: Sequence[VideoResult], where: str) -> VideoResult:
    if not code.video and len(results) == 1:
        return results[0]
    found = [result for result in results if code.video in result.names]
    if len(found) == 1:
        return found[0]
    known = ", ".join(result.name for result in results)
    if not code.video:
        raise ConfigError(f"{where}: no video, and there are results of {known}. Fix: a column video")
    seen = "several results are" if found else "no result is"
    raise ConfigError(f"{where}: {seen} of the video {code.video!r}. Fix: name one of {known}")


def _check_label(label: str, labels: Sequence[str], where: str) -> None:
    if label not in labels:
        near = difflib.get_close_matches(label, labels, n=1)
        hint = f"did you mean {near[0]!r}?" if near else "rename it, or leave the line out"
        raise ConfigError(
            f"{where}: label {label!r} is none of the model's: {', '.join(labels)} "
            f"(or {UNSURE}, {UNREADABLE}: not compared). Fix: {hint}"
        )


def _frames_of(code: Code, result: VideoResult, where: str) -> Iterator[int]:
    """Yield the numbers of the frames that a code is about."""
    if code.frame is not None:
        if code.frame not in result.frame:
            raise ConfigError(f"{where}: {result.name} has no frame {code.frame}. Fix: {_extent(result)}")
        yield code.frame
        return
    assert code.start_s is not None
    if code.end_s is not None and code.is_interval:
        first, last = np.searchsorted(result.time_s, [code.start_s, code.end_s])
        if first == last:
            raise ConfigError(
                f"{where}: no frame of {result.name} from {code.start_s:g} to {code.end_s:g} s. Fix: {_extent(result)}"
            )
        yield from map(int, result.frame[first:last])
        return
    nearest = int(np.abs(result.time_s - code.start_s).argmin()) if len(result.time_s) else -1
    if nearest < 0 or abs(result.time_s[nearest] - code.start_s) > MAX_APART_S:
        raise ConfigError(f"{where}: {result.name} has no frame at {code.start_s:g} s. Fix: {_extent(result)}")
    yield int(result.frame[nearest])


def _extent(result: VideoResult) -> str:
    if not len(result.frame):
        return "another video; this one has no frames"
    return (
        f"its frames are {result.frame[0]} to {result.frame[-1]}, from {result.time_s[0]:g} to {result.time_s[-1]:g} s"
    )


def _row_of(code: Code, result: VideoResult, frame: int, where: str) -> int | None:
    """Return the row of the coded face, or None if the frame has no such face."""
    rows = result.faces_at(frame)
    if code.box_xyxy is not None:
        overlaps = _overlaps(result.boxes_xyxy[rows.start : rows.stop], code.box_xyxy)
        best = int(overlaps.argmax()) if len(overlaps) else -1
        return rows[best] if best >= 0 and overlaps[best] >= MIN_IOU else None
    if code.person is not None:
        return next((row for row in rows if result.person[row] == code.person), None)
    if code.track is not None:
        return next((row for row in rows if result.track[row] == code.track), None)
    if len(rows) > 1:
        raise ConfigError(
            f"{where}: frame {frame} of {result.name} has {len(rows)} faces, and the code does not say whose it is. "
            "Fix: a column person or track, or the box as x1, y1, x2, y2"
        )
    return rows[0] if rows else None


def _overlaps(boxes: NDArray[np.int64], box: tuple[float, float, float, float]) -> NDArray[np.float64]:
    """Return intersection over union (N,) of boxes (N, 4) with one."""
    one = np.asarray(box)
    sides = np.minimum(boxes[:, 2:], one[2:]) - np.maximum(boxes[:, :2], one[:2])
    shared = np.prod(np.maximum(sides, 0), axis=1)
    areas = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1) + np.prod(one[2:] - one[:2])
    return np.asarray(shared / (areas - shared), dtype=np.float64)
