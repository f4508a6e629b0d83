"""Videos of `VideoEncoder` copied packet by packet, without encoding anew."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
from av.video.stream import VideoStream

from fer_deploy.errors import SinkError
from fer_deploy.live.file_names import file_address

_ASSUMED_FPS = Fraction(25)


def join_videos(parts: Sequence[Path], starts_s: Sequence[float], path: Path) -> int:
    """Write one MP4 from several, its index in front. Return how many frames it holds.

    Args:
        parts: of `VideoEncoder`, each counting its time from its first frame.
        starts_s: when each part begins.
        path: of the whole, which needs as much room as the parts.

    Raises:
        SinkError: a part was encoded in another way than the first.
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
                    raise SinkError(f"{part} was encoded in another way than the parts before. Fix: --restart")
                for packet in source.demux(video):
                    if packet.size == 0 or packet.pts is None:  # the end of the stream
                        continue
                    base: Fraction = packet.time_base
                    packet.pts = packet.dts = last = max(last + 1, packet.pts + round(start_s / base))
                    # Fragments tell none for some; players leave out a last frame that lasts for no time.
                    packet.duration = packet.duration or _usual_ticks(video, base)
                    packet.stream = stream
                    target.mux_one(packet)
                    num_frames += 1
    return num_frames


def _usual_ticks(video: VideoStream, base: Fraction) -> int:
    return max(1, round(1 / (video.average_rate or video.guessed_rate or _ASSUMED_FPS) / base))


def move_index_to_front(written: Path, path: Path) -> int:
    """Copy an MP4 so that a browser can play and seek in it while it loads; see `join_videos`."""
    return join_videos([written], [0.0], path)


def num_frames_in(path: Path) -> int:
    """Return how many frames a video holds, counted without decoding."""
    with av.open(file_address(path)) as container:
        return sum(packet.size > 0 for packet in container.demux(video=0))
