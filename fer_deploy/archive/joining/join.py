"""join: tables of all videos whose segments are there, with the rows that a sequential analysis would write."""

import hashlib
import json
import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Final, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from fer_deploy.archive.dead_letters import LIST, given_up
from fer_deploy.archive.joining.replayed import ReplayedVideo
from fer_deploy.archive.joining.replays import replays
from fer_deploy.archive.joining.tables import PART_BYTES, Partition, PartitionedTable
from fer_deploy.archive.manifest import About, Manifest
from fer_deploy.archive.planned_models import check_version
from fer_deploy.archive.scratch import scratch_folder
from fer_deploy.archive.segment_plan import plans
from fer_deploy.archive.store import Store
from fer_deploy.archive.work import Work, all_work
from fer_deploy.errors import StreamError
from fer_deploy.live.fingerprint.run_fingerprint import FINGERPRINT_KEY, RUN
from fer_deploy.privacy.redaction import without_passwords

JOINED: Final = "tables/joined.json"
"""Written last: the tables are complete."""
_VIDEOS: Final = pa.schema(
    [
        *((name, pa.string()) for name in ("video_id", "video", "collection")),
        ("date", pa.date32()),
        ("date_from", pa.string()),
        *((name, pa.int64()) for name in ("num_frames", "num_faces", "num_corrupt", "num_missing")),
        ("complete", pa.bool_()),
        ("note", pa.string()),
        (RUN, pa.string()),
    ]
)


class Joined(NamedTuple):
    """The outcome: the videos in the tables, and those that were left out."""

    videos: list[ReplayedVideo]
    left_out: list[ReplayedVideo]


def join(
    store: Store,
    manifest: Manifest,
    *,
    allow_incomplete: bool = False,
    jobs: int = 1,
    scratch: Path | None = None,
    part_bytes: int = PART_BYTES,
    on_video: Callable[[ReplayedVideo], None] = lambda video: None,
) -> Joined:
    """Write the tables `faces`, `frames` and `videos`; those of an earlier call are replaced.

    Args:
        store: the archive.
        manifest: of the archive.
        allow_incomplete: include videos up to the first segment that is missing.
        jobs: processes.
        scratch: folder for the tables of a video and for parts; None: the system's.
        part_bytes: size of a file, about.
        on_video: called with each video.

    Raises:
        ConfigError: the archive was planned with another version.
        StreamError: no video is complete.
        FerDeployError: as `Replay.run`; or the store cannot be written.
    """
    check_version(manifest.about)
    works: dict[str, list[Work]] = {}
    for work in all_work(manifest, plans(manifest, store)):
        works.setdefault(work.row.id, []).append(work)
    rows = [row for row in manifest.rows.values() if row.id in works]
    rows.sort(key=lambda row: (Partition.of(row), row.address))
    todo = [(row, works[row.id]) for row in rows]
    joined = Joined([], [])
    with scratch_folder(scratch) as folder:
        tables = {name: PartitionedTable(store, name, folder, part_bytes=part_bytes) for name in ("faces", "frames")}
        store.remove(JOINED)
        for video, faces, frames in replays(store, manifest.about, todo, folder, jobs=jobs):
            is_in = not video.gap or (allow_incomplete and video.num_frames > 0)
            (joined.videos if is_in else joined.left_out).append(video)
            if is_in:
                for name, path in (("faces", faces), ("frames", frames)):
                    _append(tables[name], path, video, manifest.about)
            shutil.rmtree(faces.parent)
            on_video(video)
        for table in tables.values():
            table.close()
    if not joined.videos:
        raise StreamError(
            f"no video of {store} is complete; fer-deploy archive status {store.argument} says what is missing. "
            f"Fix: {fix_of_gaps(store, manifest)}"
        )
    digests = tables["faces"].digests | tables["frames"].digests
    _finish(store, manifest, joined, digests, allow_incomplete=allow_incomplete)
    return joined


def fix_of_gaps(store: Store, manifest: Manifest) -> str:
    """Return what computes the segments that are missing, damaged or given up, as commands.

    Raises:
        SinkError: the store cannot be read.
    """
    run = f"fer-deploy archive run {store.argument}, then fer-deploy archive join {store.argument}"
    if not given_up(store, all_work(manifest, plans(manifest, store))):
        return run
    return f"correct the causes in {store}/{LIST}, then fer-deploy archive retry {store.argument}, {run}"


def _append(table: PartitionedTable, path: Path, video: ReplayedVideo, about: About) -> None:
    """Append the rows of a video; its own fingerprint is replaced by that of all videos, without one of them."""
    address, shared = without_passwords(video.row.address), {FINGERPRINT_KEY: about.fingerprint.to_json()}
    with path.open("rb") as opened, pq.ParquetFile(opened) as file:
        for number in range(file.num_row_groups):
            rows = file.read_row_group(number)
            fields = [("video_id", video.row.id), ("video", address)]
            for place, (name, value) in enumerate(fields):
                rows = rows.add_column(place, name, pa.array([value] * rows.num_rows, pa.string()))
            whole = pa.array([not video.gap] * rows.num_rows, pa.bool_())
            rows = rows.add_column(rows.num_columns - 1, "video_complete", whole)
            table.append(Partition.of(video.row), rows.replace_schema_metadata(shared))


def _finish(
    store: Store, manifest: Manifest, joined: Joined, digests: dict[str, str], *, allow_incomplete: bool
) -> None:
    """Write the table of videos, remove the parts of an earlier call, and mark the tables as complete."""
    rows = [_row(video, manifest.about.fingerprint_of(video.row).run) for video in joined.videos]
    content = pa.BufferOutputStream()
    schema = _VIDEOS.with_metadata({FINGERPRINT_KEY: manifest.about.fingerprint.to_json()})
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), content, compression="zstd")
    videos = "tables/videos/part-000001.parquet"
    written = content.getvalue().to_pybytes()
    store.write(videos, written)
    digests = {**digests, videos: hashlib.sha256(written).hexdigest()}
    for name in store.list("tables"):
        if name not in {*digests, JOINED}:
            store.remove(name)
    about = {
        "manifest": manifest.about.hash,
        "num_videos": len(joined.videos),
        "left_out": len(joined.left_out),
        "allow_incomplete": allow_incomplete,
    }
    store.write(JOINED, json.dumps(about | {"sha256": digests}, indent=2).encode())


def _row(video: ReplayedVideo, run: str) -> dict[str, object]:
    return {
        "video_id": video.row.id,
        "video": without_passwords(video.row.address),
        "collection": Partition.of(video.row).collection,
        "date": date.fromisoformat(video.row.date) if video.row.date else None,
        "date_from": video.row.date_from,
        "num_frames": video.num_frames,
        "num_faces": video.num_faces,
        "num_corrupt": video.num_corrupt,
        "num_missing": video.num_missing,
        "complete": not video.gap,
        "note": video.gap or video.trouble,
        RUN: run,
    }
