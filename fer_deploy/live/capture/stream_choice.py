"""Choose which of a container's video streams to read."""

from collections.abc import Sequence
from typing import Final

from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream


class NoVideo(ValueError):
    """The source has no readable video.

    Attributes:
        fix: what the user can do.
    """

    def __init__(self, reason: str, fix: str) -> None:
        super().__init__(reason)
        self.fix = fix


_NO_FILMS: Final = Disposition.attached_pic | Disposition.timed_thumbnails
_TILE: Final = getattr(Disposition, "dependent", Disposition(0))
"""FFmpeg's flag of the tiles of a HEIC picture; unknown before FFmpeg 7.1."""


_PICTURES: Final = frozenset({"heic", "heix", "heim", "heis", "mif1", "avif"})
"""Brands of picture files; beside the tiles of a large picture there may be a preview."""


def choose_stream(container: InputContainer, number: int | None) -> VideoStream:
    """Return the stream to read: the default one, or else the largest that is not an attached picture.

    MP4 marks every enabled track as default; of several defaults the largest is chosen.

    Args:
        container: opened.
        number: the stream that the user chose, as ffprobe counts, or None.

    Raises:
        NoVideo: there is no video, or `number` is not a video stream.
    """
    videos = container.streams.video
    if number is not None:
        return _chosen(container, videos, number)
    if not videos:
        raise NoVideo("it has no video", "name a recording with pictures")
    films = [video for video in videos if not video.disposition & _NO_FILMS]
    if not films:
        raise NoVideo("it has no video, only a cover picture", "name a recording with pictures")
    tiles = [video for video in films if video.disposition & _TILE]
    if tiles and (len(tiles) == len(films) or container.metadata.get("major_brand") in _PICTURES):
        raise NoVideo(f"it is a picture in {len(tiles)} tiles, as HEIC has them", "convert it to JPEG")
    return max(films, key=lambda video: (bool(video.disposition & Disposition.default), _num_pixels(video)))


def _chosen(container: InputContainer, videos: Sequence[VideoStream], number: int) -> VideoStream:
    found = next((video for video in videos if video.index == number), None)
    if found is not None:
        return found
    there = ", ".join(f"#{video.index} ({describe_stream(video)})" for video in videos) or "none"
    kinds = [stream.type for stream in container.streams if stream.index == number]
    seen = f"stream #{number} is {kinds[0]}" if kinds else f"there is no stream #{number}"
    raise NoVideo(f"{seen}; video streams: {there}", "choose one of these, or leave out the number")


def say_choice(container: InputContainer, chosen: VideoStream) -> str:
    """Return a sentence about the stream that is read; empty if there is only one."""
    others = [video for video in container.streams.video if video.index != chosen.index]
    if not others:
        return ""
    listed = ", ".join(f"#{video.index} ({describe_stream(video)})" for video in others)
    return f"reads video stream #{chosen.index} ({describe_stream(chosen)}) and not {listed}; #N after the name chooses"


def describe_stream(video: VideoStream) -> str:
    """Return size, codec and flags of a stream as text."""
    words = [f"{video.codec_context.width}x{video.codec_context.height} {video.codec_context.name}"]
    if video.disposition & Disposition.attached_pic:
        words.append("cover picture")
    if video.disposition & Disposition.default:
        words.append("default")
    return ", ".join(words)


def _num_pixels(video: VideoStream) -> int:
    return video.codec_context.width * video.codec_context.height
