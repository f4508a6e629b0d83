"""Join videos of `VideoEncoder` by copying their packets, without encoding them again."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
from av.video.stream import VideoStream

from fer_deploy.errors import SinkError
from fer_deploy.live.file_names import file_address

_ASSUMED_FPS = Fraction(25)


def join_videos(parts: Sequence[Path], starts_s: Sequence[float], path: Path) -> int:
    """Join several MP4 files into one with its index at the front, and return its number of frames.

    Args:
        parts: from `VideoEncoder`; the time of each starts at its first frame.
        starts_s: start of each part in the joined video, in seconds.
        path: the joined file; it needs as much space as the parts.

    Raises:
        SinkError: a part was encoded differently from the first.
        av.FFmpegError: FFmpeg failed.
    """
    num_frames = 0
    headers: bytes | None = None
    last = -1
    with av.open(file_address(path), "w", format="mp4", container_options={"movflags": "faststart"}) as target:
        stream = None
        for part, start_s in zip(parts, starts_s, strict=True):
            with av.open(file_address(part)) as source:
                video = source.streams.video[0]
                if stream is None:
                    stream, headers = target.add_stream_from_template(video, opaque=True), video.codec_context.extradata
                elif video.codec_context.extradata != headers:
                    raise SinkError(f"{part} was encoded differently from the parts before. Fix: --restart")
                for packet in source.demux(video):
                    if packet.size == 0 or packet.pts is None:  # the end of the stream
                        continue
                    base: Fraction = packet.time_base
                    packet.pts = packet.dts = last = max(last + 1, packet.pts + round(start_s / base))
                    # Some packets of fragments have no duration; players omit a last frame without duration.
                    packet.duration = packet.duration or _usual_ticks(video, base)
                    packet.stream = stream
                    target.mux_one(packet)
                    num_frames += 1
    return num_frames


def _usual_ticks(video: VideoStream, base: Fraction) -> int:
    return max(1, round(1 / (video.average_rate or video.guessed_rate or _ASSUMED_FPS) / base))


def move_index_to_front(written: Path, path: Path) -> int:
    """Copy an MP4 with its index at the front, so that browsers can play and seek while loading; see `join_videos`."""
    return join_videos([written], [0.0], path)


def num_frames_in(path: Path) -> int:
    """Return the number of frames of a video, counted without decoding."""
    with av.open(file_address(path)) as container:
        return sum(packet.size > 0 for packet in container.demux(video=0))
