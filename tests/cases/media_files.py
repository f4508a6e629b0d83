"""Recordings of the kinds that phones, capture cards and editors write, made by PyAV from drawn faces."""

import os
import shutil
import struct
import subprocess
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from av.stream import Disposition

from fer_deploy.analyze.segments.recording import Recording
from fer_deploy.live.capture.protocol import Request
from fer_deploy.live.capture.stream_reader import open_reader
from fer_deploy.live.sources import PipeSource, Source, SourceConfig, open_recording, open_source
from fer_deploy.live.sources.synthetic import _background, draw_scene
from fer_deploy.vision.types import Frame

RATE = 12
SIZE = (320, 180)
NUM = 12
MATRICES = [(a, 0, 0, d) for a in (1, -1) for d in (1, -1)] + [(0, b, c, 0) for b in (1, -1) for c in (1, -1)]
"""All eight ways to turn and mirror a picture, as a, b, c, d of a display matrix."""
needs_ffmpeg = pytest.mark.skipif(
    shutil.which("ffmpeg") is None, reason="ffmpeg, whose picture is the truth, is absent"
)


def scenes(num: int = NUM, size: tuple[int, int] = SIZE) -> list[np.ndarray]:
    """Two drawn people who move."""
    ground = _background()
    return [cv2.resize(draw_scene(ground, 4 * index), size, interpolation=cv2.INTER_AREA) for index in range(num)]


def stored(picture: np.ndarray, matrix: tuple[int, int, int, int]) -> np.ndarray:
    """Return the picture that a display matrix turns into this one."""
    a, b, c, d = matrix
    height, width = picture.shape[:2] if a else picture.shape[1::-1]
    y, x = np.mgrid[0:height, 0:width]
    across, down = a * x + c * y, b * x + d * y
    return np.ascontiguousarray(picture[down - down.min(), across - across.min()])


def set_matrix(path: Path, matrix: tuple[int, int, int, int]) -> Path:
    """Write a display matrix into the header of an MP4's track."""
    content = bytearray(path.read_bytes())
    start = content.index(b"tkhd") + 44
    a, b, c, d = (value << 16 for value in matrix)
    content[start : start + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(content)
    return path


def write_film(
    path: Path,
    pictures: Sequence[np.ndarray],
    codec: str = "libx264",
    *,
    options: dict | None = None,
    pix_fmt: str = "yuv420p",
    times: Sequence[int] | None = None,
    muxer: str | None = None,
) -> Path:
    """Write a film; `times` are the frames' places in units of 1/RATE s."""
    with av.open(f"file:{path}", "w", format=muxer) as container:
        stream = container.add_stream(codec, rate=RATE, options=options or {})
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt, stream.codec_context.time_base = pix_fmt, Fraction(1, RATE)
        for picture, tick in zip(pictures, times or range(len(pictures)), strict=True):
            frame = av.VideoFrame.from_ndarray(picture, "bgr24")
            frame.pts, frame.time_base = tick, Fraction(1, RATE)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def write_streams(path: Path, films: Sequence[tuple[Sequence[np.ndarray], str, Disposition]]) -> Path:
    """Write several video streams into one file, each with its codec and marks."""
    with av.open(f"file:{path}", "w") as container:
        streams = []
        for pictures, codec, marks in films:
            stream = container.add_stream(codec, rate=RATE)
            stream.height, stream.width = pictures[0].shape[:2]
            stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
            stream.disposition = marks
            streams.append(stream)
        for stream, (pictures, _, _) in zip(streams, films, strict=True):
            for index, picture in enumerate(pictures):
                frame = av.VideoFrame.from_ndarray(picture, "bgr24")
                frame.pts, frame.time_base = index, Fraction(1, RATE)
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
    return path


def write_song(path: Path, cover: np.ndarray) -> Path:
    """Write a second of sound with a cover picture."""
    with av.open(f"file:{path}", "w", format="mp3" if path.suffix == ".mp3" else "mp4") as container:
        sound = container.add_stream("aac" if path.suffix == ".m4a" else "libmp3lame", rate=44_100)
        picture = container.add_stream("mjpeg", rate=1)
        picture.height, picture.width = cover.shape[:2]
        picture.pix_fmt, picture.disposition = "yuvj420p", Disposition.attached_pic
        container.mux(picture.encode(av.VideoFrame.from_ndarray(cover, "bgr24")))
        container.mux(picture.encode())
        for start in range(0, 44_100, 1024):
            tone = np.sin(np.arange(start, start + 1024) / 20).astype(np.float32)[None]
            frame = av.AudioFrame.from_ndarray(np.repeat(tone, 2, axis=0), "fltp", "stereo")
            frame.sample_rate, frame.pts = 44_100, start
            container.mux(sound.encode(frame))
        container.mux(sound.encode())
    return path


def set_pixel_shape(path: Path, across: int, down: int) -> Path:
    """Write the shape of pixels into the header of an MP4, whatever its codec says, as `ffmpeg -aspect` does."""
    content = bytearray(path.read_bytes())
    box = struct.pack(">I4sII", 16, b"pasp", across, down)
    place = content.index(b"avcC") - 4
    for name in (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd", b"avc1"):  # the boxes around it grow
        start = content.rindex(name, 0, place) - 4
        struct.pack_into(">I", content, start, struct.unpack_from(">I", content, start)[0] + len(box))
    content[place:place] = box
    path.write_bytes(content)
    return path


def cut_with_edit_list(film: Path, path: Path, *, first: int) -> Path:
    """Copy an MP4 as `ffmpeg -ss -c copy` does: all packets, and an edit list that hides the frames before `first`."""
    options = {"avoid_negative_ts": "disabled"}
    with av.open(f"file:{film}") as source, av.open(f"file:{path}", "w", container_options=options) as target:
        video = source.streams.video[0]
        stream = target.add_stream_from_template(video)
        shift = round(Fraction(first, RATE) / video.time_base)
        for packet in source.demux(video):
            if packet.size:
                packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
                packet.stream = stream
                target.mux_one(packet)
    return path


def shorten_edit_list(path: Path, num_frames: int) -> Path:
    """Let the edit list of an MP4 end after so many frames, as editors do that trim without encoding again."""
    content = bytearray(path.read_bytes())
    scale = struct.unpack_from(">I", content, content.index(b"mvhd") + 16)[0]
    place = content.index(b"elst") + 4
    version, num_entries = content[place], struct.unpack_from(">I", content, place + 4)[0]
    assert (version, num_entries) == (0, 1)
    struct.pack_into(">I", content, place + 8, num_frames * scale // RATE)
    path.write_bytes(content)
    return path


def drain(source: Source) -> list[Frame]:
    try:
        return list(source.frames())
    finally:
        source.close()


def read(path: Path | str) -> tuple[Source, list[Frame]]:
    """Open a source as users name it. Return it, closed, and its frames."""
    source = open_source(str(path))
    return source, drain(source)


def times_of(frames: Sequence[Frame]) -> list[float]:
    return [frame.time_s for frame in frames]


def every(seconds: float, num: int) -> object:
    return pytest.approx([index * seconds for index in range(num)], abs=2e-3)


def difference(a: np.ndarray, b: np.ndarray) -> float:
    """Return the mean difference of two pictures in gray levels; they must have one size."""
    assert a.shape == b.shape
    return float(np.abs(a.astype(int) - b).mean())


def shown_by_ffmpeg(path: Path, size: tuple[int, int]) -> np.ndarray:
    """Return the pictures (N, H, W, 3) that ffmpeg decodes, with its own idea of stream, orientation and edits."""
    command = [
        "ffmpeg",
        "-v",
        "error",
        "-i",
        f"file:{path}",
        "-fps_mode",
        "passthrough",
        "-f",
        "rawvideo",
        "-pix_fmt",
        "bgr24",
        "-",
    ]
    raw = subprocess.run(command, capture_output=True, check=True).stdout
    return np.frombuffer(raw, np.uint8).reshape(-1, size[1], size[0], 3)


def frames_of_url(path: Path) -> list[np.ndarray]:
    reader = open_reader(Request("stream_reader", f"file:{path}"))
    shown = []
    while reader.grab():
        pixels = reader.retrieve()
        assert pixels is not None
        shown.append(pixels)
    return shown


def frames_of_standard_input(path: Path) -> list[np.ndarray]:
    handle = os.open(path, os.O_RDONLY)
    try:
        return [frame.frame_bgr for frame in PipeSource(None, SourceConfig(), handle).frames()]
    finally:
        os.close(handle)


def frames_of_file(path: Path) -> list[np.ndarray]:
    return [frame.frame_bgr for frame in read(path)[1]]


def frames_of_analysis(path: Path) -> list[np.ndarray]:
    recording = Recording(open_recording(path))
    shown = [frame.frame_bgr for frame in iter(recording.next_frame, None)]
    recording.close()
    return shown


EVERY_WAY = pytest.mark.parametrize(
    "frames_of", [frames_of_file, frames_of_analysis, frames_of_standard_input, frames_of_url]
)
