"""Draw contact sheets: the faces of one kind of finding in one picture, duplicates side by side."""

from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from fer_train.audit.findings import Finding
from fer_train.audit.pipeline import Audit
from fer_train.data.faces import EMOTIONS, Faces
from fer_train.evaluation.palette import BAD_COLOR, bgr_from_hex
from fer_train.files.durable import write_content

NUM_COLUMNS = 16
MAX_LINES = 18
_FACE, _GAP, _CAPTION, _TITLE = 72, 8, 30, 26
_CELL_WIDTH, _CELL_HEIGHT = _FACE + _GAP, _FACE + _CAPTION
_BLACK, _BLUE, _RED = (0, 0, 0), (200, 60, 0), bgr_from_hex(BAD_COLOR)


def write_contact_sheet(audit: Audit, kind: str, title: str, path: Path) -> int:
    """Write as many faces of one kind as fit to a PNG; captions of rows outside the training split are blue.

    A bar joins duplicates: blue, or red if their labels differ.

    Returns:
        The number of faces drawn.

    Raises:
        CheckpointError: the file cannot be written.
    """
    lines, num_faces = _lay_out(_group(audit, kind))
    total = len(audit.of_kind(kind))
    shown = "" if num_faces == total else f", {num_faces:,} of them here (all: findings.csv)"
    sheet = np.full((_TITLE + len(lines) * _CELL_HEIGHT, NUM_COLUMNS * _CELL_WIDTH, 3), 255, dtype=np.uint8)
    _write(sheet, f"{title}: {total:,} faces{shown}", 4, 18)
    for number, line in enumerate(lines):
        top = _TITLE + number * _CELL_HEIGHT
        for column, finding in line:
            _draw_face(sheet, audit, finding, column * _CELL_WIDTH, top)
        for (column, finding), (_, following) in pairwise(line):
            if finding.group == following.group >= 0:
                same = audit.faces.labels[finding.index] == audit.faces.labels[following.index]
                x, y = column * _CELL_WIDTH + _FACE, top + _FACE // 2
                sheet[y - 3 : y + 3, x : x + _GAP] = _BLUE if same else _RED
    png = cv2.imencode(".png", sheet)[1].tobytes()
    write_content(path, png)
    return num_faces


def _group(audit: Audit, kind: str) -> list[list[Finding]]:
    """Return groups of duplicates, those that span several splits first; a single face is also a group."""
    groups: dict[tuple[int, int], list[Finding]] = {}
    for finding in audit.of_kind(kind):
        key = (finding.group, -1) if finding.group >= 0 else (-1, finding.index)
        groups.setdefault(key, []).append(finding)
    if kind not in ("exact_duplicate", "near_duplicate", "contradictory"):
        return list(groups.values())
    splits = audit.faces.splits
    return sorted(groups.values(), key=lambda group: len({str(splits[finding.index]) for finding in group}) < 2)


def _lay_out(groups: list[list[Finding]]) -> tuple[list[list[tuple[int, Finding]]], int]:
    """Fill lines of `NUM_COLUMNS` cells without splitting a group that fits on one line.

    Returns:
        Each line as (column, finding), and the number of findings placed in `MAX_LINES` lines.
    """
    lines: list[list[tuple[int, Finding]]] = [[]]
    for group in groups:
        room = NUM_COLUMNS - len(lines[-1])
        if len(group) > room and lines[-1]:
            lines.append([])
        for finding in group:
            if len(lines[-1]) == NUM_COLUMNS:
                lines.append([])
            lines[-1].append((len(lines[-1]), finding))
    lines = lines[:MAX_LINES]
    return lines, sum(len(line) for line in lines)


def _draw_face(sheet: NDArray[np.uint8], audit: Audit, finding: Finding, left: int, top: int) -> None:
    faces, index = audit.faces, finding.index
    image = cv2.resize(faces.images[index], (_FACE, _FACE), interpolation=cv2.INTER_CUBIC)
    sheet[top : top + _FACE, left : left + _FACE] = image[:, :, None]
    color = _BLACK if faces.splits[index] == audit.config.train_split else _BLUE
    _write(sheet, finding.caption or EMOTIONS[faces.labels[index]], left, top + _FACE + 11, color)
    _write(sheet, _short_place(faces, index), left, top + _FACE + 23, color)


def _short_place(faces: Faces, index: int) -> str:
    """Return e.g. "Trai 120": four letters of the split, and the row or the position."""
    row = int(faces.rows[index])
    return f"{str(faces.splits[index])[:4]} {row if row >= 0 else f'#{index}'}"


def _write(sheet: NDArray[np.uint8], text: str, x: int, y: int, color: tuple[int, int, int] = _BLACK) -> None:
    plain = text.encode("ascii", "replace").decode()  # OpenCV's fonts have only ASCII
    size = 0.34 if y > _TITLE else 0.5
    width = cv2.getTextSize(plain, cv2.FONT_HERSHEY_SIMPLEX, size, 1)[0][0]
    if y > _TITLE:
        size *= min(1.0, (_CELL_WIDTH - 2) / max(width, 1))
    cv2.putText(sheet, plain, (x, y), cv2.FONT_HERSHEY_SIMPLEX, size, color, 1, cv2.LINE_AA)
