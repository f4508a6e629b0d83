"""Flags that several commands share. Defaults in words repeat those of the settings, and a test compares them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import click

from fer_deploy.cli.interface import FILE, Decorated, option, options
from fer_deploy.errors import ConfigError
from fer_deploy.privacy.redaction import without_password

DEVICES: Final = ["auto", "cpu", "cuda", "tensorrt", "tensorrt-rtx", "openvino"]
CODECS: Final = ["auto", "vp9", "x264", "av1", "mpeg4"]


class VideoPath(click.Path):
    """A path to a recording; an address is no path, and as one it would lose a slash of its ://."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return a Path."""
        shown = without_password(str(value))
        if "://" in str(value) or (shown != str(value) and not Path(value).exists()):
            raise ConfigError(f"cannot analyze {shown}: an address, expected files. Fix: fer-deploy live --source URL")
        if not str(value):  # as a Path it would be the current folder
            raise ConfigError("a file name is empty, as from an unset variable. Fix: name files, or . for this folder")
        return super().convert(value, param, ctx)


VIDEO_PATH: Final = VideoPath(path_type=Path)


class IntervalType(click.ParamType[Any]):
    """A number of frames, or auto."""

    name = "interval"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return an int or "auto"."""
        if str(value).lower() == "auto":
            return "auto"
        try:
            return int(value)
        except ValueError:
            self.fail(f"{value!r} is neither a number of frames nor auto", param, ctx)


def config(example: str) -> Callable[[Decorated], Decorated]:
    """Return --config; the help names an example of such a file, or a page."""
    return option(
        "--config", "config_path", type=FILE, metavar="FILE", help=f"Settings in YAML; see {example}. Flags win."
    )


def json_flag(what: str) -> Callable[[Decorated], Decorated]:
    """Return --json; `what` is printed."""
    return option("--json", "as_json", is_flag=True, help=f"Print {what} as one JSON object.", section="Output")


_MODEL = "Model"
engine_options = options(
    option(
        "--model",
        type=click.Choice(["ferplus", "nano-ferplus", "fer2013"]),
        default_text="ferplus",
        section=_MODEL,
        help="Bundled model: ferplus answers as FER+'s ten taggers do (for real pictures); nano-ferplus, too, for many "
        "faces: several times as fast, less accurate; fer2013 answers as FER2013's labels do (for the benchmark).",
    ),
    option(
        "--engine",
        type=FILE,
        metavar="FILE",
        section=_MODEL,
        help="Your own model, .onnx or .plan, instead of --model; or a folder that fer-deploy bench measured; or "
        "triton://HOST:8001/MODEL, which a Triton server runs.",
    ),
    option(
        "--device",
        type=click.Choice(DEVICES),
        default_text="auto",
        section=_MODEL,
        help="Where the model runs. openvino: OpenVINO on the CPU; needs the extra [openvino].",
    ),
    option(
        "--trust-plan",
        is_flag=True,
        default=None,
        section=_MODEL,
        help="Load a TensorRT plan although its manifest is missing or names another file. A plan is code.",
    ),
    option(
        "--allow-host-code",
        is_flag=True,
        default=None,
        section=_MODEL,
        help="Let a version-compatible plan run its lean runtime on the host.",
    ),
)

_FACES = "Faces"
_detection = options(
    option(
        "--detector",
        type=click.Choice(["auto", "haar", "yunet"]),
        default_text="auto",
        section=_FACES,
        help="yunet finds turned and small faces; haar finds frontal faces and needs no file; auto is yunet if its "
        "file is here.",
    ),
    option(
        "--detector-model",
        type=FILE,
        metavar="FILE",
        section=_FACES,
        default_text="$FER_YUNET, else the official file, which --detector yunet fetches once",
        help="YuNet's .onnx, or a .plan of it; or triton://HOST:8001/MODEL, which a Triton server runs.",
    ),
    option(
        "--min-face",
        type=int,
        metavar="PIXELS",
        section=_FACES,
        default_text="about 24 pixels; in large frames, 5% of the shorter side",
        help="Smallest face; a larger value is faster.",
    ),
    option(
        "--max-faces",
        type=int,
        metavar="N",
        default_text="all",
        section=_FACES,
        help="Largest number of faces in a frame; the largest faces are kept.",
    ),
    option(
        "--min-score",
        type=float,
        metavar="SCORE",
        default_text="0.5",
        section=_FACES,
        help="How sure YuNet must be of a face, 0 to 1. haar gives no score.",
    ),
)
_unsure_below = option(
    "--unsure-below",
    type=float,
    metavar="CONFIDENCE",
    section=_FACES,
    default_text="the model's own limit, below which it is wrong more often than right",
    help="Show a face as unsure below this confidence, 0 to 1.",
)
photo_options = options(_detection, _unsure_below)
"""What one picture has a use for."""
analysis_options = options(
    _detection,
    option(
        "--roi",
        metavar="X1,Y1,X2,Y2",
        default_text="the whole frame",
        section=_FACES,
        help="Look only in this region: fractions of the frame, or pixels of the source's first frame.",
    ),
    option(
        "--detect-every",
        type=IntervalType(),
        metavar="N|auto",
        default_text="auto",
        section=_FACES,
        help="Detect in every N-th frame and follow the faces between them. auto: in live video as seldom as the "
        "load needs it, in recordings in every frame.",
    ),
    option(
        "--smoothing",
        "smoothing_s",
        type=float,
        metavar="SECONDS",
        default_text="0.25",
        section=_FACES,
        help="Time over which a person's emotions are averaged. 0: no average; the label still waits for a clear lead.",
    ),
    _unsure_below,
    option(
        "--baseline",
        metavar="first:SECONDS|running|faces.csv",
        default_text="none",
        section=_FACES,
        help="Correct each person's resting face: learned from the first seconds of each person, from the last "
        "minute, or from the faces.csv of an analysis of a calm recording.",
    ),
    option(
        "--neutral-share",
        type=float,
        metavar="SHARE",
        default_text="none",
        section=_FACES,
        help="Correct for this share of neutral faces in what is analyzed, 0 to 1; costs accuracy on other emotions.",
    ),
    option(
        "--workers",
        type=int,
        metavar="N",
        default_text="one for each core",
        section=_FACES,
        help="Threads that analyze.",
    ),
)
"""What a sequence of frames has a use for."""


def video_codec(of: str, *, formerly: tuple[str, ...] = ()) -> Callable[[Decorated], Decorated]:
    """Return --video-codec."""
    return option(
        "--video-codec",
        type=click.Choice(CODECS),
        default_text="auto",
        section="Output",
        formerly=formerly,
        help=f"Codec of {of}. auto: VP9. x264: half the CPU time, under the GPL (docs/licences.md).",
    )


_JUDGED = "Accuracy"
ferplus = option(
    "--ferplus",
    type=FILE,
    metavar="FILE",
    section=_JUDGED,
    help="FER+ votes (fer2013new.csv): a model of FER+'s labels is judged by their majority.",
)
judging_options = options(
    ferplus,
    option(
        "--split",
        metavar="NAME",
        default_text="PublicTest",
        section=_JUDGED,
        help="Split of --data that accuracy is measured on.",
    ),
    option(
        "--num-faces",
        type=int,
        metavar="N",
        default_text="all",
        section=_JUDGED,
        help="Faces of that split, evenly spread.",
    ),
    option(
        "--slice-faces",
        type=int,
        metavar="N",
        default_text="512",
        section=_JUDGED,
        help="Faces of these that are degraded in several ways and compared. 0: none.",
    ),
    option(
        "--clip",
        type=FILE,
        metavar="PATH",
        section=_JUDGED,
        help="Recording, picture or folder of pictures whose faces are compared, too.",
    ),
    option(
        "--max-accuracy-drop",
        type=float,
        metavar="POINTS",
        default_text="0.3",
        section=_JUDGED,
        help="Percentage points of accuracy that INT8 may cost.",
    ),
)
"""How a model is compared with PyTorch."""
calibration_options = options(
    option(
        "--calibration-split",
        metavar="NAME",
        default_text="Training",
        section="INT8",
        help="Split of --data that INT8 ranges are measured on.",
    ),
    option(
        "--calibration-faces",
        type=int,
        metavar="N",
        default_text="512",
        section="INT8",
        help="Faces that the ranges are measured on.",
    ),
    option(
        "--calibration-method",
        type=click.Choice(["max", "percentile", "entropy"]),
        default_text="percentile",
        section="INT8",
        help="How a range follows from the values.",
    ),
)
