"""Join parts to whole files, one part at a time in memory."""

import shutil
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av

from fer_deploy.errors import SinkError
from fer_deploy.live.sinks.video import MIN_FREE_BYTES


def check_room(parts: Sequence[Path], folder: Path) -> None:
    """Refuse to begin what would not fit; parts are kept until the whole is written.

    Raises:
        SinkError: the disk has too little space.
    """
    needed = sum(part.stat().st_size for part in parts) + MIN_FREE_BYTES
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise SinkError(
            f"joining the results in {folder} needs {needed / 2**20:.0f} MiB, {free / 2**20:.0f} MiB are free. Nothing "
            "is lost. Fix: free some space and give the same command again"
        )


def join_csv(parts: Sequence[Path], path: Path) -> None:
    """Write one CSV file from several that have the same header."""
    with path.open("wb") as whole:
        for number, part in enumerate(parts):
            with part.open("rb") as file:
                header = file.readline()
                if number == 0:
                    whole.write(header)
                shutil.copyfileobj(file, whole)


def num_rows_in_csv(path: Path) -> int:
    """Return how many rows follow the header; no field holds the end of a line."""
    with path.open("rb") as file:
        return sum(1 for _ in file) - 1


def join_videos(parts: Sequence[Path], starts_s: Sequence[float], path: Path) -> int:
    """Write one MP4 from several without encoding anew, its index in front. Return how many frames it holds.

    Args:
        parts: one codec, one size, each counting its time from its first frame; no frame refers to a later one.
        starts_s: when each part begins.
        path: of the whole.

    Raises:
        SinkError: FFmpeg failed, or a part is of another make than the first.
    """
    try:
        return _remux(parts, starts_s, path)
    except av.FFmpegError as err:
        raise SinkError(
            f"cannot join the annotated video {path}: {err}. Fix: free some space and give the same command again; if "
            "it stays, --restart"
        ) from err


def _remux(parts: Sequence[Path], starts_s: Sequence[float], path: Path) -> int:
    num_frames = 0
    headers: bytes | None = None
    last = -1
    with av.open(str(path), "w", format="mp4", container_options={"movflags": "faststart"}) as target:
        stream = None
        for part, start_s in zip(parts, starts_s, strict=True):
            with av.open(str(part)) as source:
                video = source.streams.video[0]
                if stream is None:
                    stream, headers = target.add_stream_from_template(video), video.codec_context.extradata
                elif video.codec_context.extradata != headers:
                    raise SinkError(f"{part} was encoded in another way than the parts before. Fix: --restart")
                for packet in source.demux(video):
                    if packet.size == 0 or packet.pts is None:  # the end of the stream
                        continue
                    base: Fraction = packet.time_base
                    packet.pts = packet.dts = last = max(last + 1, packet.pts + round(start_s / base))
                    packet.stream = stream
                    target.mux_one(packet)
                    num_frames += 1
    return num_frames
