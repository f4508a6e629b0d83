"""Where frames come from. `open_source` tells a camera, a stream, a file and a folder apart."""

import os
from pathlib import Path

from fer_deploy.errors import StreamError
from fer_deploy.live.sources.base import Source
from fer_deploy.live.sources.pictures import PICTURE_SUFFIXES, PictureSource, open_folder
from fer_deploy.live.sources.synthetic import SyntheticSource
from fer_deploy.live.sources.video import VideoSource, open_camera, open_video


def open_source(text: str) -> Source:
    """Open what the user named.

    Args:
        text: "synthetic", a camera number such as "0", a URL such as rtsp://..., a video file, a picture,
            or a folder of pictures.

    Raises:
        StreamError: it is none of these, or cannot be opened.
    """
    if text == "synthetic":
        return SyntheticSource()
    if text.isdecimal():
        return open_camera(int(text))
    if "://" in text:
        return open_video(text, is_live=True)
    path = Path(text)
    if os.path.isdir(path):  # unlike Path.is_dir, no error for a name that is too long
        return open_folder(path)
    if not os.path.exists(path):
        raise StreamError(
            f"no source {text!r}: no such file or folder. Expected a camera number (0), a video file, a folder of "
            "pictures, rtsp://..., or synthetic"
        )
    if path.suffix.lower() in PICTURE_SUFFIXES:
        return PictureSource([path])
    return open_video(text, is_live=False)


__all__ = ["PictureSource", "Source", "SyntheticSource", "VideoSource", "open_source"]
