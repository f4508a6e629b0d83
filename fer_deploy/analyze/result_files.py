"""Names of our files in a video's folder, and checks that no other file is overwritten."""

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from fer_deploy.analyze.parts import PARTS, TABLES, Parts, finished_name
from fer_deploy.errors import ConfigError
from fer_deploy.live.file_names import file_and_stream

FACES: Final = "faces"
"""Base name of the tables: faces.parquet, faces.csv, faces.frames.parquet and faces.frames.csv."""
PARQUET: Final = f"{FACES}.parquet"
PEOPLE: Final = "people.parquet"
"""Pictures of people."""
ANNOTATED: Final = "annotated.mp4"
PICTURE: Final = "timeline.png"
PAGE: Final = "report.html"
SUMMARY: Final = "summary.json"
INDEX: Final = "index.html"
"""Page in --out, beside the videos' folders."""
GENERATOR: Final = "fer-deploy analyze"
"""Marks an index.html as ours."""
SEGMENTS: Final = "segments"
"""Base name of the tables of people and events."""
WIDE: Final = f"{SEGMENTS}.wide.csv"
INTERVALS: Final = "intervals"
"""Base name of intervals.tsv and intervals.eaf."""
PROTOCOL: Final = "protocol.md"
EXPORTS: Final = (
    *(f"{SEGMENTS}.parquet", f"{SEGMENTS}.csv", WIDE),
    *(f"{INTERVALS}.tsv", f"{INTERVALS}.eaf"),
    PROTOCOL,
)
"""Files that are computed from the others, and only on request."""
RESULTS: Final = (*(f"{FACES}.{kind}" for kind in TABLES), *EXPORTS, ANNOTATED, PEOPLE, PICTURE, PAGE, SUMMARY)
_HEAD_BYTES: Final = 4096


def is_leftover(name: str) -> bool:
    """Return whether a file beside the results has the name of an unfinished result of a killed run."""
    return finished_name(name) in RESULTS


def is_our_index(out: Path) -> bool:
    """Return whether an analysis wrote the index.html in --out."""
    try:
        with (out / INDEX).open("rb") as page:
            return f'content="{GENERATOR}"'.encode() in page.read(_HEAD_BYTES)
    except OSError:
        return False


def require_no_index_of_others(out: Path) -> None:
    """Refuse to overwrite an index.html that no analysis wrote.

    Raises:
        ConfigError: there is such a file.
    """
    if os.path.lexists(out / INDEX) and not is_our_index(out):
        raise ConfigError(f"{out / INDEX} is not ours; it would be overwritten. Fix: another --out")


def require_no_file_in_the_way(folder: Path) -> None:
    """Check that no file prevents the creation of a folder.

    Raises:
        ConfigError: a file has the path of the folder or of one of its parents.
    """
    found = next((path for path in (folder, *folder.parents) if os.path.lexists(path)), None)
    if found is not None and not found.is_dir():
        raise ConfigError(f"cannot write into {folder}: {found} is a file, expected a folder. Fix: another --out")


def require_own_folder(folder: Path) -> None:
    """Refuse a folder whose files no analysis wrote, but which would be overwritten.

    Raises:
        ConfigError: the folder has results or parts without our summary or lock, or a file has a folder's path.
    """
    require_no_file_in_the_way(folder)
    parts = Parts(folder / PARTS)
    if (folder / SUMMARY).exists() or parts.is_ours:
        return
    foreign = [name for name in RESULTS if os.path.lexists(folder / name)]
    foreign += [] if parts.is_empty else [PARTS]
    if foreign:
        raise ConfigError(
            f"{folder} has {', '.join(foreign)}, but neither {SUMMARY} nor a checkpoint, so no analysis made them; "
            "they would be overwritten. Fix: another --out"
        )


def check_videos_stay(videos: Sequence[Path], folders: Sequence[Path]) -> None:
    """Refuse videos that an analysis into these folders would overwrite or remove.

    Raises:
        ConfigError: a video is a result, by its path or as a hard link, or lies in a folder of parts.
    """
    results = (folder / name for folder in folders for name in RESULTS)
    written = {known: path for path in results for known in _identities(path)}
    cleared = {_real(folder / PARTS) for folder in folders}
    beside = {_real(folder) for folder in folders}
    for video in videos:
        file, _ = file_and_stream(video)
        where = _real(file)
        result = next((written[known] for known in _identities(file) if known in written), None)
        if cleared.intersection(where.parents) or (where.parent in beside and is_leftover(where.name)):
            result = where
        if result is not None:
            raise ConfigError(f"{video} would be overwritten: its analysis writes {result}. Fix: another --out")


def _identities(path: Path) -> Iterator[Path | tuple[int, int]]:
    """Yield the identities of a file: its resolved path, and its inode if it exists."""
    yield _real(path)
    with suppress(OSError):
        found = path.stat()
        yield found.st_dev, found.st_ino


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))  # Path.resolve raises on circular links
