"""Sources of frames. `open_source` opens a camera, a stream, a pipe, a file or a folder.

Each kind of source is imported when it is first used, since decoders and drawn faces take a while to load.
"""

import os
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fer_deploy.errors import ConfigError, StreamError
from fer_deploy.live.file_names import file_and_stream, printable
from fer_deploy.live.sources.base import Source, SourceHealth
from fer_deploy.live.sources.config import SourceConfig
from fer_deploy.live.sources.pictures import PictureSource, is_picture, open_folder
from fer_deploy.live.sources.playback import LoopedSource, PacedSource
from fer_deploy.privacy.redaction import without_password

if TYPE_CHECKING:
    from fer_deploy.live.sources.standard_input import PipeSource
    from fer_deploy.live.sources.stream import StreamSource
    from fer_deploy.live.sources.synthetic import SyntheticSource
    from fer_deploy.live.sources.video import VideoSource

_MODULES = {
    "PipeSource": "standard_input",
    "StreamSource": "stream",
    "SyntheticSource": "synthetic",
    "VideoSource": "video",
}


def open_source(source: int | str | Path, config: SourceConfig | None = None) -> Source:
    """Open a source. Cameras and URLs are connected before this returns, unless `config.keep_trying`.

    Args:
        source: "synthetic", a camera number such as 0 or "0", a URL such as rtsp://..., a video file, a picture,
            a folder of pictures, "-" for video from standard input, or "raw:640x480" for raw frames from there.
            #N after a file or URL chooses stream N of several. A Path always names a file or a folder.
        config: None: the defaults.

    Raises:
        StreamError: there is no such source, or it cannot be opened.
    """
    config = config or SourceConfig()
    text = _text_of(source)
    if isinstance(source, os.PathLike):
        return _open_path(text)
    if text == "synthetic":
        opened: Source = _module("synthetic").SyntheticSource()
    elif text.isdecimal():
        opened = _module("stream").open_camera(int(text), config)
    elif "://" in text:
        opened = _module("stream").open_url(text, config)
    elif text == "-" or text.startswith("raw:"):
        opened = _module("standard_input").open_pipe(text, config)
    else:
        opened = _open_path(text)
    return opened


def require_sources(sources: object) -> list[Source]:
    """Return one opened source or several as a list; raises ConfigError for anything else, and for none."""
    several = [sources] if isinstance(sources, Source) else sources
    if not isinstance(several, list | tuple) or not several or not all(isinstance(one, Source) for one in several):
        raise ConfigError(
            'expected an opened source or a list of them. Fix: LivePipeline(open_source("clip.mp4"), ...)'
        )
    return list(several)


def _text_of(source: object) -> str:
    """Return a source as text; raises StreamError for what is not text, a path or a camera number."""
    if isinstance(source, os.PathLike):
        return os.fsdecode(source)
    is_number = isinstance(source, int | np.integer) and not isinstance(source, bool)
    if not is_number and not isinstance(source, str):
        raise StreamError(
            f"a source is {type(source).__name__}, expected a camera number, a path or a URL. Fix: source=0 for the "
            "first camera; pictures in memory are analyzed by Recognizer.analyze"
        )
    if source == "":
        raise StreamError("the source is empty. Fix: name a camera (0), a file, a folder, or . for this folder")
    return str(source)


def _open_path(text: str) -> Source:
    path = Path(text)
    if os.path.isdir(path):  # unlike Path.is_dir, it raises no error for a name that is too long
        return open_folder(path)
    name, mark, number = text.rpartition("#")
    if mark and os.path.isfile(name) and not os.path.lexists(text) and file_and_stream(path)[1] is None:
        raise StreamError(
            f"no source {printable(text)!r}: #N after the name chooses a video stream and must be a number of at most "
            f"4 digits, found {printable(number)!r}. Fix: {printable(name)}, or {printable(name)}#0"
        )
    if not os.path.exists(file_and_stream(path)[0]):
        raise StreamError(
            f"no source {printable(without_password(text))!r}: no such file or folder. Fix: check the path; or name a "
            "camera (0), a video file, a folder of pictures, rtsp://..., - (standard input), or synthetic"
        )
    return open_recording(path)


def open_recording(path: Path) -> "VideoSource | PictureSource":
    """Open a video or picture file; raises StreamError if it is neither."""
    if os.path.isfile(path) and is_picture(path):
        return PictureSource([path])
    video: VideoSource = _module("video").open_file(path)
    return video


def _module(name: str) -> Any:
    return import_module(f"{__name__}.{name}")


if not TYPE_CHECKING:  # type checkers would take any name for one of this package

    def __getattr__(name):
        """Import a kind of source."""
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = globals()[name] = getattr(_module(_MODULES[name]), name)
        return value


__all__ = [
    "LoopedSource",
    "PacedSource",
    "PictureSource",
    "PipeSource",
    "Source",
    "SourceConfig",
    "SourceHealth",
    "StreamSource",
    "SyntheticSource",
    "VideoSource",
    "open_recording",
    "open_source",
    "without_password",
]
