"""PipelineConfig, OutputConfig and LiveConfig: all settings of a run of the live loop."""

from collections import Counter
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, model_validator

from fer_deploy.detectors import DetectorConfig
from fer_deploy.detectors.yunet_file import file_at_hand
from fer_deploy.engines.config import EngineChoice
from fer_deploy.errors import argument
from fer_deploy.live.drawing.anonymize import Method
from fer_deploy.live.events.message import MOST_KEYS, EventRefused, checked_label
from fer_deploy.live.output_files import (
    Named,
    VideoCodec,
    files_of_sources,
    frames_path,
    require_apart,
    require_fitting_suffixes,
    video_paths,
)
from fer_deploy.live.sinks.whole_lines import STANDARD_OUTPUT
from fer_deploy.live.sources.config import SourceConfig
from fer_deploy.settings import CONFIG_FILE, Settings
from fer_deploy.vision.preprocess import CropConfig
from fer_deploy.vision.tracking.people import PeopleConfig


def _texts_of_sources(value: object) -> object:
    """Convert to a tuple of text: one source becomes a list of one, and YAML's number `0` a camera number."""
    values = list(value) if isinstance(value, list | tuple) else [value]
    return tuple(str(one) if type(one) is int else one for one in values)


def _nameable(sources: tuple[str, ...]) -> tuple[str, ...]:
    """Refuse empty sources, and cameras or standard input given twice; a file or URL may be given twice."""
    if any(not source.strip() for source in sources):
        raise ValueError("a source is empty. Fix: --source 0 for the first camera, or a file or a URL")
    cameras = [f"camera {int(source)}" for source in sources if source.isdecimal()]
    pipes = ["standard input" for source in sources if source == "-" or source.startswith("raw:")]
    for name, num in Counter(cameras + pipes).items():
        if num > 1:
            raise ValueError(f"{name} is named {num} times and can be read once. Fix: each --source once")
    return sources


class PipelineConfig(Settings):
    """How frames are analyzed."""

    detect_every: int | Literal["auto"] = Field(
        default="auto",
        description="run the detector on every N-th frame, follow faces between; auto: as rarely as the load requires "
        "for live sources, every frame of a recording",
    )
    workers: int | None = Field(default=None, ge=1, le=64, description="threads that analyze; none: one a core")
    max_frames: int | None = Field(default=None, ge=1, description="end after this many; none: when the sources end")
    anonymize: Method | None = Field(
        default=None,
        description="cover all faces in videos, page and window: blur, pixelate or box; none: faces are shown",
    )
    people: PeopleConfig = PeopleConfig()
    crop: CropConfig = CropConfig()

    @model_validator(mode="after")
    def _interval_is_positive(self) -> Self:
        if self.detect_every != "auto" and not 1 <= self.detect_every <= 100:
            raise ValueError(f"detect_every is {self.detect_every}, expected 1 to 100 or auto. Fix: --detect-every 3")
        return self


def require_all_faces(pipeline: PipelineConfig, detection: DetectorConfig) -> None:
    """Check that no face is left out of the search if faces are to be covered.

    Raises:
        ValueError: the settings of the detector leave faces out, which would be recognizable.
    """
    given = [name for name in ("max_faces", "roi", "min_face") if getattr(detection, name) is not None]
    if pipeline.anonymize is not None and given:
        raise ValueError(
            f"{argument('anonymize')} covers the faces that were found, and {' and '.join(map(argument, given))} "
            f"leaves faces out. Fix: without {' and '.join(map(argument, given))}, or without {argument('anonymize')}"
        )


class OutputConfig(Settings):
    """Where results go; several at once."""

    record: Path | None = Field(default=None, strict=False, description="annotated video: .mp4, .mkv or .avi")
    video_codec: VideoCodec = Field(
        default="auto", description="of record; auto: VP9, which plays in browsers; x264 is under the GPL"
    )
    jsonl: Path | None = Field(default=None, strict=False, description="one JSON object a frame; -: standard output")
    csv: Path | None = Field(default=None, strict=False, description="one row a face")
    parquet: Path | None = Field(default=None, strict=False, description="one row a face; needs the extra table")
    mqtt: str | None = Field(default=None, description="mqtt://host/topic, one message a frame; needs the extra mqtt")
    serve: str | None = Field(default=None, description="web page at HOST:PORT or PORT; needs the extra serve")
    serve_token: str | None = Field(
        default=None, repr=False, description="access token of the page; generated where the page needs one"
    )
    display: bool = Field(default=True, description="show a window if there is a screen")
    events_out: Path | None = Field(
        default=None, strict=False, description="events noted during the run; none: NAME.events.csv, if event is given"
    )
    event: tuple[str, ...] = Field(
        default=(),
        max_length=MOST_KEYS,
        strict=False,
        description="labels of the events of keys 1 to 9, and of buttons",
    )

    @model_validator(mode="after")
    def _only_lines_go_to_standard_output(self) -> Self:
        for name, path in (("record", self.record), ("csv", self.csv), ("parquet", self.parquet)):
            if path == STANDARD_OUTPUT:
                raise ValueError(f"{name} cannot go to standard output. Fix: --{name} FILE, or --jsonl -")
        return self

    @model_validator(mode="after")
    def _names_tell_the_kind(self) -> Self:
        tables = {"csv": self.csv, "parquet": self.parquet, "jsonl": self.jsonl, "events-out": self.events_out}
        require_fitting_suffixes([(name, path) for name, path in tables.items() if path is not None])
        return self

    @model_validator(mode="after")
    def _events_are_named(self) -> Self:
        if self.events_out == STANDARD_OUTPUT:
            raise ValueError("events_out cannot go to standard output. Fix: --events-out FILE")
        try:
            labels = [checked_label(label) for label in self.event]
        except EventRefused as err:
            raise ValueError(f"{str(err).partition(' Fix: ')[0]} Fix: --event film --event talk") from err
        if len(set(labels)) < len(labels):
            raise ValueError("two events have the same label. Fix: another --event")
        if self.event and self.events_file is None:
            raise ValueError("events are named, but no file is written. Fix: --events-out events.csv")
        return self

    @model_validator(mode="after")
    def _token_has_a_page(self) -> Self:
        if self.serve_token is not None and self.serve is None:
            raise ValueError("serve_token is given, but no page is served. Fix: --serve 8080, or no --serve-token")
        return self

    def files(self, num_sources: int) -> list[Named]:
        """Return every file that the run writes, with the name of its setting."""
        videos = [] if self.record is None else video_paths(self.record, num_sources)
        named = [("record", path) for path in videos]
        for name, path in (("csv", self.csv), ("parquet", self.parquet)):
            named += [] if path is None else [(name, path), (name, frames_path(path))]
        named += [] if self.jsonl in (None, STANDARD_OUTPUT) else [("jsonl", self.jsonl)]
        return named + ([] if self.events_file is None else [("events-out", self.events_file)])

    @property
    def events_file(self) -> Path | None:
        """The file of events; None if no events are to be noted."""
        if self.events_out is not None or not self.event:
            return self.events_out
        beside = (self.csv, self.parquet, None if self.jsonl == STANDARD_OUTPUT else self.jsonl, self.record)
        first = next((path for path in beside if path is not None), None)
        return None if first is None else first.parent / f"{first.stem}.events.csv"


class LiveConfig(EngineChoice):
    """Settings of `fer-deploy live`; YAML keys and flags have these names, and groups are nested in YAML."""

    source: Annotated[tuple[str, ...], BeforeValidator(_texts_of_sources), AfterValidator(_nameable)] = Field(
        default=("0",),
        description="camera number, file, folder, URL, -, or synthetic; several share one engine",
        min_length=1,
    )
    realtime: bool = Field(default=False, description="play recordings at their own speed, as a camera would")
    detection: DetectorConfig = DetectorConfig()
    pipeline: PipelineConfig = PipelineConfig()
    stream: SourceConfig = SourceConfig()
    output: OutputConfig = OutputConfig()

    @model_validator(mode="after")
    def _outputs_overwrite_nothing_read(self, info: ValidationInfo) -> Self:
        read: list[Named] = [*files_of_sources(self.source), *self._models()]
        if info.context and info.context.get(CONFIG_FILE):
            read.append(("config", info.context[CONFIG_FILE]))
        require_apart(self.output.files(len(self.source)), read)
        return self

    @model_validator(mode="after")
    def _all_faces_are_covered(self) -> Self:
        require_all_faces(self.pipeline, self.detection)
        return self

    def _models(self) -> list[Named]:
        detector = None if self.detection.detector == "haar" else file_at_hand(self.detection.detector_model)
        named: list[Named] = []
        named += [("engine", path) for path in self.model_files()]
        return named + ([] if detector is None else [("detector model", detector)])
