"""verify: read all bytes of the tables, and count frames and faces again, there, in the segments and the manifest."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import IO, Any, Final, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from fer_deploy.archive.joining.join import JOINED, fix_of_gaps
from fer_deploy.archive.manifest import Manifest
from fer_deploy.archive.segment_plan import plans
from fer_deploy.archive.store import Store
from fer_deploy.archive.work import Work, about_segment, all_work
from fer_deploy.errors import ConfigError, VerificationError

_BLOCK: Final = 2**20
"""Bytes that are read at once."""


class Verified(NamedTuple):
    """The counts, and differences from the manifest that a file itself explains.

    Attributes:
        num_videos: in the tables.
        num_frames: in the tables.
        num_faces: in the tables.
        num_left_out: videos that `join` left out because of their segments.
        is_incomplete_allowed: whether `join` was told that videos may be incomplete.
        notes: videos that have another number of frames than their packets announce, and videos without rows.
    """

    num_videos: int
    num_frames: int
    num_faces: int
    num_left_out: int
    is_incomplete_allowed: bool
    notes: list[str]


def verify(store: Store, manifest: Manifest) -> Verified:
    """Count everything again.

    Raises:
        ConfigError: there are no complete tables of this manifest.
        VerificationError: counts differ, or a table is not as `join` wrote it.
    """
    about = _joined(store)
    if about is None or about["manifest"] != manifest.about.hash:
        what = "no complete tables" if about is None else "tables of another manifest"
        raise ConfigError(f"{store} has {what}. Fix: fer-deploy archive join {store.argument}")
    frames, faces_of_frames, faces = Counter[str](), Counter[str](), Counter[str]()
    for name, sha256 in about["sha256"].items():
        _require_unchanged(store, name, sha256)
        if name.startswith("tables/frames/"):
            for video_id, num_faces in _columns(store, name, ("video_id", "num_faces")):
                frames[video_id] += 1
                faces_of_frames[video_id] += num_faces
        elif name.startswith("tables/faces/"):
            faces.update(video_id for (video_id,) in _columns(store, name, ("video_id",)))
    wrong = [
        f"{one}: {faces_of_frames[one]} faces in frames, {faces[one]} in faces"
        for one in frames
        if faces_of_frames[one] != faces[one]
    ]
    notes, has_gaps = [], False
    segments, with_gap = _frames_in_segments(store, manifest)
    for row in manifest.rows.values():
        if row.id not in frames:
            notes.append(f"{row.shown}: not in the tables" + (f": {row.reason}" if row.reason else ""))
            continue
        if frames[row.id] != segments[row.id]:
            gap = with_gap.get(row.id)
            has_gaps = has_gaps or gap is not None
            why = "" if gap is None else f"; segment {gap} is damaged or missing"
            wrong.append(f"{row.shown}: {frames[row.id]} frames in the tables, {segments[row.id]} in its segments{why}")
        if manifest.about.config.sample_fps is None and frames[row.id] != row.num_frames:
            notes.append(f"{row.shown}: {frames[row.id]} frames, its packets announce {row.num_frames}")
    wrong += [f"{one} is in the tables and not in the manifest" for one in frames if one not in manifest.rows]
    if wrong:
        fix = fix_of_gaps(store, manifest) if has_gaps else f"fer-deploy archive join {store.argument}"
        raise VerificationError(f"tables and segments differ: {'; '.join(wrong)}. Fix: {fix}")
    left_out, is_allowed = about["left_out"], about.get("allow_incomplete", False)
    return Verified(len(frames), frames.total(), faces.total(), left_out, is_allowed, notes)


def _joined(store: Store) -> dict[str, Any] | None:
    """Return what `join` wrote last; None if it was not finished, or its file is damaged."""
    content = store.read(JOINED)
    try:
        about = None if content is None else json.loads(content)
    except ValueError:
        return None
    is_whole = isinstance(about, dict) and {"manifest", "sha256", "left_out"} <= about.keys()
    return about if is_whole else None


def _require_unchanged(store: Store, name: str, sha256: str) -> None:
    if not store.exists(name):
        raise _not_as_written(store, name, "missing")
    if store.read_with(name, _sha256) != sha256:
        raise _not_as_written(store, name, "not as join wrote it")


def _sha256(file: IO[bytes]) -> str:
    digest = hashlib.sha256()
    while block := file.read(_BLOCK):
        digest.update(block)
    return digest.hexdigest()


def _not_as_written(store: Store, name: str, how: str) -> VerificationError:
    return VerificationError(f"{name} in {store} is {how}. Fix: fer-deploy archive join {store.argument}")


def _columns(store: Store, name: str, columns: tuple[str, ...]) -> Iterator[tuple[Any, ...]]:
    try:
        with store.open(name) as opened, pq.ParquetFile(opened) as file:
            for batch in file.iter_batches(columns=list(columns)):
                yield from zip(*(batch.column(column).to_pylist() for column in columns), strict=True)
    except (pa.ArrowException, OSError, ValueError) as err:
        raise _not_as_written(store, name, f"damaged: {type(err).__name__}") from err


def _frames_in_segments(store: Store, manifest: Manifest) -> tuple[Counter[str], dict[str, int]]:
    """Return the rows of the segments of each video up to the first gap, and the number of the segment of that gap.

    Files that are damaged are removed, so that the next run computes them.
    """
    works = all_work(manifest, plans(manifest, store))
    with ThreadPoolExecutor(16) as pool:
        nums = list(pool.map(lambda work: _num_rows(store, work), works))
    counts, gaps = Counter[str](), dict[str, int]()
    for work, num in zip(works, nums, strict=True):
        if num is None:
            gaps.setdefault(work.row.id, work.segment.number)
        elif work.row.id not in gaps:
            counts[work.row.id] += num
    return counts, gaps


def _num_rows(store: Store, work: Work) -> int | None:
    if not store.exists(work.name):
        return None
    about = about_segment(store, work.name, all_bytes=True)
    if about is None:
        store.remove(work.name)
    if about is None or about.key != work.key:
        return None
    return store.read_with(work.name, lambda file: int(pq.read_metadata(file).num_rows))
