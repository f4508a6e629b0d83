"""Cache a parsed CSV as .npz beside its source; the cache is valid while the source's SHA-256 does not change."""

import hashlib
import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np

from fer_train.data.faces import EMOTIONS, FACE_SIZE, Faces
from fer_train.data.readers.npz_file import require_true_sizes
from fer_train.errors import CheckpointError
from fer_train.files.durable import write_atomically
from fer_train.files.zip_faults import ZIP_FAULTS

FORMAT = "fer-faces-2"
"""Version of the cache; increase it when the reader becomes stricter, so that old caches are parsed again."""
_log = logging.getLogger(__name__)


def read_through_cache(path: Path, parse: Callable[[Path, str], Faces]) -> Faces:
    """Return `parse(path, sha256)`, from the cache beside `path` if that is complete and of this content.

    A changed source and a foreign or incomplete cache cause a new parse. If the folder is not writable, the result
    is not cached.
    """
    sha256 = file_sha256(path)
    cache = path.with_name(path.name + ".cache.npz")
    faces = _load(cache, sha256)
    if faces is None:
        faces = parse(path, sha256)
        _save(cache, faces)
    return faces


def file_sha256(path: Path) -> str:
    """Return the hex SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _load(cache: Path, sha256: str) -> Faces | None:
    try:
        with cache.open("rb") as file:
            require_true_sizes(file)
            with np.load(file, allow_pickle=False) as stored:
                if str(stored["format"]) != FORMAT or str(stored["source_sha256"]) != sha256:
                    return None
                return _checked(Faces(stored["images"], stored["labels"], stored["splits"], stored["rows"], sha256))
    except FileNotFoundError:
        return None
    except ZIP_FAULTS as err:
        _log.warning("ignoring the unreadable cache %s (%s); parsing the CSV again", cache, err)
        return None


def _checked(faces: Faces) -> Faces:
    """Return the faces; raise ValueError if an array has a wrong shape or type, or a label is out of range."""
    num = len(faces.images)
    seen = {
        name: (array.dtype.kind, array.dtype.itemsize if array.dtype.kind != "U" else 0, array.shape)
        for name, array in (
            ("images", faces.images),
            ("labels", faces.labels),
            ("splits", faces.splits),
            ("rows", faces.rows),
        )
    }
    expected = {
        "images": ("u", 1, (num, FACE_SIZE, FACE_SIZE)),
        "labels": ("i", 8, (num,)),
        "splits": ("U", 0, (num,)),
        "rows": ("i", 8, (num,)),
    }
    if seen != expected:
        raise ValueError(f"its arrays are {seen}, expected {expected}")
    if num == 0 or faces.labels.min() < 0 or faces.labels.max() >= len(EMOTIONS):
        raise ValueError(f"it has {num} faces with labels up to {faces.labels.max(initial=0)}")
    return faces


def _save(cache: Path, faces: Faces) -> None:
    def write(temporary: Path) -> None:
        with temporary.open("wb") as file:
            np.savez(
                file,
                format=FORMAT,
                source_sha256=faces.source_sha256,
                images=faces.images,
                labels=faces.labels,
                splits=faces.splits,
                rows=faces.rows,
            )

    try:
        write_atomically(cache, write)
    except CheckpointError as err:
        _log.warning("cannot write the cache %s: %s. The next run parses the CSV again", cache, err.__cause__)
