"""Manifest: the videos of an archive, their segments, and everything that the results depend on."""

import hashlib
import io
import json
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any, Final, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, ValidationError

from fer_deploy.analyze.config import AnalyzeConfig
from fer_deploy.analyze.fingerprint import Fingerprint
from fer_deploy.analyze.models import Models
from fer_deploy.archive.planned_models import with_detector
from fer_deploy.archive.store import Store
from fer_deploy.errors import ArtifactError, ConfigError
from fer_deploy.files.parquet_table import read_parquet
from fer_deploy.live.file_names import printable
from fer_deploy.live.seeking.position import Position
from fer_deploy.privacy.redaction import without_passwords
from fer_deploy.spec import ModelSpec

SCHEMA_VERSION: Final = 1
NAME: Final = "manifest.parquet"
TO_THE_END: Final = 2**31 - 1
"""Number of frames of a video's last segment in its task: what the packets do not announce is analyzed, too."""
_ABOUT: Final = b"fer_deploy.archive"
_ABOUT_SHA256: Final = b"fer_deploy.archive.sha256"
_SEGMENT: Final = pa.struct(
    [("number", pa.int32()), ("first", pa.int64()), ("num_frames", pa.int64()), ("start", pa.string())]
)
_SCHEMA: Final = pa.schema(
    [
        *((name, pa.string()) for name in ("id", "address")),
        ("size", pa.int64()),
        ("digest", pa.string()),
        ("duration_s", pa.float64()),
        ("codec", pa.string()),
        ("fps", pa.float64()),
        ("num_frames", pa.int64()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("date", pa.string()),
        ("date_from", pa.string()),
        ("why_not", pa.string()),
        ("reason", pa.string()),
        ("segments", pa.list_(_SEGMENT)),
    ]
)


class Segment(NamedTuple):
    """A segment of a video.

    Attributes:
        number: from 0.
        first: index of its first frame.
        num_frames: that the file's packets announce.
        start: position of its first frame as JSON; predicted, but for the first segment.
    """

    number: int
    first: int
    num_frames: int
    start: str

    @property
    def position(self) -> Position:
        """Position of its first frame."""
        return Position.model_validate_json(self.start)


class VideoRow(BaseModel):
    """A video.

    Attributes:
        id: from its address and its digest.
        address: an absolute path, or an address.
        size: in bytes; -1 if unknown.
        digest: of its content, or its ETag.
        duration_s: in seconds.
        codec: FFmpeg's name of its decoder.
        fps: frames per second according to the file.
        num_frames: that its packets announce.
        width: of its first frame.
        height: of its first frame.
        date: day on which it was recorded, YYYY-MM-DD; empty if unknown.
        date_from: where that is from: `creation_time` in its container, or `modified`, the last change of its file.
        why_not: why no reader can begin in its middle; empty if it can. Such a video is one segment.
        reason: why it cannot be analyzed; empty if it can. Such a row has no segments.
        segments: in their order.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    address: str
    size: int = -1
    digest: str = ""
    duration_s: float = 0.0
    codec: str = ""
    fps: float = 0.0
    num_frames: int = 0
    width: int = 0
    height: int = 0
    date: str = ""
    date_from: str = ""
    why_not: str = ""
    reason: str = ""
    segments: tuple[Segment, ...] = ()

    @property
    def shown(self) -> str:
        """Address for messages: one line, without a password."""
        return printable(without_passwords(self.address))

    @property
    def size_of_picture(self) -> tuple[int, int]:
        """Width and height."""
        return self.width, self.height


class About(BaseModel):
    """Everything that the results depend on, beside the videos.

    Attributes:
        schema_version: of the manifest.
        settings: `AnalyzeConfig` as JSON, without --out.
        fingerprint: of settings, models and version, without a video.
        spec: of the classifier, so that `join` needs no model.
        engine_name: file name of the model, for messages.
        price_per_core_hour: given to `plan`; 0 if it was not.
        hash: of the manifest.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: int = SCHEMA_VERSION
    settings: dict[str, Any]
    fingerprint: Fingerprint
    spec: ModelSpec
    engine_name: str
    price_per_core_hour: float = 0.0
    hash: str = ""

    @classmethod
    def of(cls, config: AnalyzeConfig, models: Models, price_per_core_hour: float) -> "About":
        """Describe settings and opened models. The detector that `auto` chose is named: every machine takes it."""
        config = with_detector(config, "haar" if models.detector_file is None else "yunet")
        return cls(
            settings=config.model_dump(mode="json", exclude={"out"}, exclude_defaults=True),
            fingerprint=Fingerprint.with_digest("", config, engine=models.engine_file, detector=models.detector_file),
            spec=models.engine.spec,
            engine_name=models.engine_file.name,
            price_per_core_hour=price_per_core_hour,
        )

    @cached_property
    def config(self) -> AnalyzeConfig:
        """The settings; raises ArtifactError if they are of another version."""
        try:
            return AnalyzeConfig.model_validate_json(json.dumps(self.settings | {"out": "."}))
        except ValidationError as err:
            keys = ", ".join(".".join(map(str, one["loc"])) or one["msg"] for one in err.errors())
            raise ArtifactError(
                f"{NAME} has settings of another version: {keys}. Fix: fer-deploy {self.fingerprint.version}, or "
                "archive plan into another --out"
            ) from err

    def fingerprint_of(self, row: VideoRow) -> Fingerprint:
        """Return the fingerprint of a video's results."""
        return self.fingerprint.model_copy(update={"video": row.digest})


class Manifest(NamedTuple):
    """The description and the rows, by id."""

    about: About
    rows: dict[str, VideoRow]

    @classmethod
    def of(cls, about: About, rows: Iterable[VideoRow]) -> "Manifest":
        """Return a manifest with its hash; rows are in the order of their addresses."""
        ordered = sorted(rows, key=lambda row: row.address)
        digest = hashlib.sha256(about.fingerprint.model_dump_json().encode())
        for row in ordered:
            digest.update(row.model_dump_json().encode())
        named = about.model_copy(update={"hash": digest.hexdigest()})
        return cls(named, {row.id: row for row in ordered})

    def key(self, row: VideoRow, segment: Segment) -> str:
        """Return a digest of everything that the observations of a segment depend on."""
        text = f"{self.about.fingerprint_of(row).model_dump_json()}\n{segment.first}\n{segment.start}"
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def save(self, store: Store) -> None:
        """Write the manifest; raises SinkError."""
        rows = [row.model_dump() | {"segments": [one._asdict() for one in row.segments]} for row in self.rows.values()]
        about = self.about.model_dump_json().encode()
        schema = _SCHEMA.with_metadata({_ABOUT: about, _ABOUT_SHA256: hashlib.sha256(about).hexdigest().encode()})
        file = io.BytesIO()
        pq.write_table(pa.Table.from_pylist(rows, schema=schema), file, compression="zstd")
        store.write(NAME, file.getvalue())

    @classmethod
    def load(cls, store: Store) -> "Manifest":
        """Read the manifest.

        Raises:
            ConfigError: there is none.
            ArtifactError: it is damaged, or of another version.
        """
        manifest = cls.find(store)
        if manifest is None:
            raise ConfigError(
                f"{store} has no {NAME}: nothing was planned there. Fix: another address, or fer-deploy "
                f"archive plan INPUT... --out {store.argument}"
            )
        return manifest

    @classmethod
    def find(cls, store: Store) -> "Manifest | None":
        """Read the manifest; None if there is none. Raises ArtifactError as `load`."""
        content = store.read(NAME)
        if content is None:
            return None
        try:
            table = read_parquet(io.BytesIO(content))
            metadata = table.schema.metadata or {}
            about = About.model_validate_json(metadata[_ABOUT])
            rows = [_row(values) for values in table.to_pylist()]
        except (KeyError, TypeError, ValueError, OSError, pa.ArrowException) as err:
            raise _unusable(store, type(err).__name__) from err
        if about.schema_version != SCHEMA_VERSION:
            raise _unusable(store, f"its schema is {about.schema_version}, expected {SCHEMA_VERSION}")
        digest = hashlib.sha256(metadata[_ABOUT]).hexdigest().encode()
        if metadata.get(_ABOUT_SHA256, digest) != digest:  # earlier manifests have none
            raise _unusable(store, "its settings were changed")
        manifest = cls.of(about, rows)
        if manifest.about.hash != about.hash:
            raise _unusable(store, "its hash is not that of its rows")
        return manifest


def _unusable(store: Store, why: str) -> ArtifactError:
    return ArtifactError(
        f"{NAME} in {store} is damaged or of another version: {why}. Fix: the version that wrote it, or fer-deploy "
        f"archive plan into another --out; or move {NAME} away, and plan the same videos into {store} again: what this "
        "version has finished is used again"
    )


def _row(values: dict[str, Any]) -> VideoRow:
    segments = tuple(Segment(**one) for one in values.pop("segments"))
    return VideoRow.model_validate(values | {"segments": segments})


def segment_name(row: VideoRow, number: int) -> str:
    """Return the name of a segment's observations."""
    return f"segments/{row.id}/{number:06}.parquet"


def dead_name(row: VideoRow, number: int) -> str:
    """Return the name of a segment's dead letter."""
    return f"dead/{row.id}/{number:06}.json"


def again_name(row: VideoRow, number: int) -> str:
    """Return the name of the mark that a video is to be continued from a proven position."""
    return f"again/{row.id}/{number:06}.json"


def index_name(video_id: str) -> str:
    """Return the name of the index of a video's packets."""
    return f"index/{video_id}.npz"


def ids_and_numbers(names: Iterable[str]) -> set[tuple[str, int]]:
    """Return id and number of segments, dead letters or marks from their names."""
    parts: Sequence[list[str]] = [name.rsplit("/", 2)[-2:] for name in names]
    return {(video_id, int(file.partition(".")[0])) for video_id, file in parts if file[:6].isdecimal()}
