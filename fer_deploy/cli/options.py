"""Flags that `live`, `analyze` and `image` share, and the way from flags to settings."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar, get_args

import click

from fer_deploy.artifacts import Family
from fer_deploy.detectors import DetectorName
from fer_deploy.detectors.config import MIN_SCORE
from fer_deploy.detectors.search import FRAME_SHARE, USEFUL_FACE
from fer_deploy.engines import Device
from fer_deploy.engines.config import EngineChoice
from fer_deploy.errors import ConfigError
from fer_deploy.privacy.redaction import without_password
from fer_deploy.settings import Settings
from fer_deploy.spec import ModelSpec
from fer_deploy.vision.people import PeopleConfig

PATH: Final = click.Path(path_type=Path)
ANALYSIS_GROUPS: Final[Mapping[str, Sequence[str]]] = {
    "detection": ("detector", "detector_model", "min_face", "roi", "max_faces", "min_score"),
    "pipeline": ("detect_every", "workers", "max_frames"),
    "pipeline.people": ("smoothing_s", "unsure_below"),
}
"""Which group of the settings the flags of `analysis_options` belong to."""
Command = TypeVar("Command", bound=Callable[..., Any])


class VideoPath(click.Path):
    """A path to a recording; an address is no path, and as one it would lose a slash of its ://."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return a Path."""
        shown = without_password(str(value))
        if "://" in str(value) or (shown != str(value) and not Path(value).exists()):
            raise ConfigError(f"cannot analyze {shown}: an address, expected files. Fix: fer-deploy live --source URL")
        return super().convert(value, param, ctx)


VIDEO_PATH: Final = VideoPath(path_type=Path)


class IntervalType(click.ParamType[Any]):
    """A number of frames, or auto."""

    name = "N|auto"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return an int or "auto"."""
        if str(value).lower() == "auto":
            return "auto"
        try:
            return int(value)
        except ValueError:
            self.fail(f"{value!r} is neither a number of frames nor auto", param, ctx)


def _default(settings: type[Settings], name: str) -> str:
    return f"{settings.model_fields[name].default:g}"


_ENGINE: Final = (
    click.option(
        "--model",
        type=click.Choice(get_args(Family)),
        help="Which of the models that ship with the package: ferplus answers as FER+'s ten taggers do (for "
        "real pictures), fer2013 as FER2013's labels do (the benchmark).  [default: ferplus]",
    ),
    click.option("--engine", type=PATH, help="Model file of your own, in place of --model."),
    click.option("--device", type=click.Choice(get_args(Device)), help="Where the engine runs.  [default: auto]"),
    click.option(
        "--trust-plan", is_flag=True, default=None, help="Load a TensorRT plan that its manifest does not vouch for."
    ),
    click.option("--allow-host-code", is_flag=True, default=None, help="Let a plan's lean runtime run on the host."),
)
_DETECTION: Final = (
    click.option("--detector", type=click.Choice(get_args(DetectorName)),
                 help="yunet finds turned and small faces, haar frontal ones and needs no file; auto: yunet where its "
                 "file is at hand.  [default: auto]"),
    click.option("--detector-model", type=PATH,
                 help="YuNet's .onnx or a .plan of it; without it the official file, fetched once."),
    click.option("--min-face", type=int,
                 help="Smallest face in pixels; larger is faster.  [default: all that are found where a face of "
                 f"{USEFUL_FACE} pixels would be, in large frames one of {FRAME_SHARE:.0%} of the shorter side]"),
    click.option("--max-faces", type=int, help="At most this many a frame, the largest."),
    click.option("--min-score", type=float,
                 help=f"How sure YuNet must be, 0 to 1; haar gives no score.  [default: {MIN_SCORE:g}]"),
)  # fmt: skip
_UNSURE_BELOW: Final = click.option(
    "--unsure-below",
    type=float,
    help="Say unsure below this confidence, 0 to 1.  [default: the model's own limit, below which it is "
    "wrong more often than right]",
)
_ANALYSIS: Final = (
    *_DETECTION,
    click.option("--roi", metavar="X1,Y1,X2,Y2",
                 help="Look only here: shares of the frame, or pixels of the source's first one."),
    click.option("--detect-every", type=IntervalType(),
                 help="Detect in every N-th frame only, and follow faces between them. auto: in live video as seldom "
                 "as the load wants it, in recordings in every frame.  [default: auto]"),
    click.option("--smoothing", "smoothing_s", type=float,
                 help="Seconds over which a person's emotions are averaged; 0: not at all, only the label still waits "
                 "for a clear lead.  "
                 f"[default: {_default(PeopleConfig, 'smoothing_s')}]"),
    _UNSURE_BELOW,
    click.option("--workers", type=int, help="Threads that analyze.  [default: one a core]"),
)  # fmt: skip


_FAMILY_IN_WORDS: Final = {
    "ferplus": "answers as FER+'s ten taggers",
    "fer2013": "answers as FER2013's labels",
    None: "its ModelSpec does not say whose labels it learned",
}


class Described(Protocol):
    """What `engine_line` needs of an Engine, or of a Recognizer."""

    @property
    def description(self) -> str:
        """Backend, provider and precision."""

    @property
    def spec(self) -> ModelSpec:
        """The model's contract."""


def engine_line(engine: Described, config: EngineChoice) -> str:
    """Return what runs, in a line: the model, the engine, and whose answer it gives."""
    name = config.engine_file.name
    return f"engine: {name}, {engine.description}; {_FAMILY_IN_WORDS[engine.spec.label_set]}"


def engine_options(command: Command) -> Command:
    """Add the flags that choose the engine."""
    return _with(_ENGINE, command)


def analysis_options(command: Command) -> Command:
    """Add the flags that say how frames are analyzed."""
    return _with(_ANALYSIS, command)


def photo_options(command: Command) -> Command:
    """Add those of `analysis_options` that a single picture has a use for."""
    return _with((*_DETECTION, _UNSURE_BELOW), command)


def _with(options: Sequence[Callable[[Command], Command]], command: Command) -> Command:
    for option in reversed(options):
        command = option(command)
    return command


def nested(flags: Mapping[str, Any], groups: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Return the flags in the groups that the settings have; what was not given is left out.

    Args:
        flags: by name; None or () means not given.
        groups: names of flags by group, groups within groups with a dot. What is in none stays at the top.
    """
    group_of = {name: group for group, names in groups.items() for name in names}
    settings: dict[str, Any] = {}
    for name, value in flags.items():
        if value is None or value == ():
            continue
        inside = settings
        for group in filter(None, group_of.get(name, "").split(".")):
            inside = inside.setdefault(group, {})
        inside[name] = value
    return settings
