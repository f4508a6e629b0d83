"""Annotated videos."""

import os
import shutil
from pathlib import Path

import av

from fer_deploy.errors import ConfigError, SinkError
from fer_deploy.live.sinks.base import Picture, Sink
from fer_deploy.live.sinks.unfinished import KeptBeside, replaceable, take_name, unfinished_path
from fer_deploy.live.sinks.video.codecs import MOTION_JPEG, VideoCodec, choose_encoding
from fer_deploy.live.sinks.video.encoder import VIDEO_SUFFIXES, VideoEncoder
from fer_deploy.live.sinks.video.joining import move_index_to_front, num_frames_in
from fer_deploy.live.sinks.video.picture_fit import fit_picture
from fer_deploy.vision.types import FrameResult

MIN_FREE_BYTES = 16 * 2**20
"""Recording stops before the disk is full, so that there is room to finish the file."""


class VideoSink(Sink):
    """An annotated video at constant quality: VP9 by default in .mp4 or .mkv, Motion JPEG in .avi.

    Written under a temporary name; takes its own when it is whole. A run that is killed leaves the temporary file,
    which plays up to its last one or two seconds.
    """

    name = "video"
    needs_picture = True
    live_capacity = 30

    def __init__(
        self,
        path: Path,
        fps: float,
        *,
        is_live: bool = False,
        source: int = 0,
        fix: str = "another --record",
        codec: VideoCodec = "auto",
    ) -> None:
        """Check suffix and folder; the encoder is opened with the first frame, whose size it takes.

        Args:
            path: the suffix chooses the container.
            fps: of the source.
            is_live: frames keep their times; otherwise they are evenly spaced.
            source: the one of the loop's sources that is recorded; each has a clock of its own, and so a file.
            fix: what to give instead where it cannot be written, for messages.
            codec: of .mp4 and .mkv.

        Raises:
            ConfigError: the suffix names no known container, or there is no such encoder.
            SinkError: the folder cannot be written, or something that is no file has that name.
        """
        if path.suffix.lower() not in VIDEO_SUFFIXES:
            raise ConfigError(f"cannot record {path}: known video suffixes are {', '.join(VIDEO_SUFFIXES)}. Fix: {fix}")
        is_avi = path.suffix.lower() == ".avi"
        if is_avi and codec != "auto":
            raise ConfigError(
                f"cannot record {path} in {codec}: an .avi is Motion JPEG. Fix: an .mp4 or .mkv, or no codec"
            )
        self._encoding = MOTION_JPEG if is_avi else choose_encoding(codec)
        path = replaceable(path, fix=fix)
        self._path, self._fps, self._is_live, self.source = path, fps, is_live, source
        self._fix = fix
        self._part = unfinished_path(path)
        self._encoder: VideoEncoder | None = None
        self._size = (0, 0)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._part.touch()
        except OSError as err:
            raise SinkError(f"cannot write {path}: {err.strerror}. Fix: {fix}") from err

    def write(self, result: FrameResult, picture: Picture | None) -> bool:
        """Append a picture; one of another size than the first is fitted into it."""
        assert picture is not None
        try:
            self._append(picture, result.frame.time_s)
        except BaseException:
            self.is_incomplete = True
            raise
        return True

    def _append(self, picture: Picture, time_s: float) -> None:
        free = shutil.disk_usage(self._path.parent).free
        if free < MIN_FREE_BYTES:
            kept = ", which holds the frames up to here" if self._encoder else ""
            where = self._part if self._encoder and self._path.exists() else self._path
            raise SinkError(
                f"disk full: {free / 2**20:.0f} MiB left for {where}{kept}. Fix: free some space, or {self._fix}"
            )
        try:
            if self._encoder is None:
                self._encoder = self._open(picture)
            self._encoder.add(fit_picture(picture, self._size), time_s)
        except (av.FFmpegError, OSError) as err:
            raise SinkError(f"cannot record to {self._path}: {err}. Fix: free some space, or {self._fix}") from err

    def _open(self, picture: Picture) -> VideoEncoder:
        height, width = picture.shape[:2]
        self._size = (width - width % 2, height - height % 2)  # the codecs want even sides
        if 0 in self._size:
            raise SinkError(f"cannot record {self._path}: frames of {width}x{height}. Fix: a source of at least 2x2")
        return VideoEncoder(self._part, size=self._size, fps=self._fps, is_live=self._is_live, encoding=self._encoding)

    def close(self) -> None:
        """Finalize the video, prove that it holds every frame, and give it its name.

        A recording that is incomplete does not replace an older file.
        """
        if self._encoder is None:
            self._part.unlink(missing_ok=True)
            return
        try:
            self._encoder.close()
            num_readable = self._finish()
        except (av.FFmpegError, OSError) as err:
            raise SinkError(
                f"cannot finish {self._path}: {err}. {self._part} plays as far as it goes. "
                "Fix: free some disk space and run again"
            ) from err
        if num_readable != self._encoder.num_frames:
            raise SinkError(
                f"{self._part} is incomplete: {num_readable} of {self._encoder.num_frames} frames can be read. "
                "Fix: free some disk space and run again"
            )
        if self.is_incomplete and self._path.exists():
            raise KeptBeside(self._path, self._part, "frames")
        take_name(self._part, self._path)
        self.files = (self._path,)

    def _finish(self) -> int:
        """Bring the temporary file into its last form. Return how many frames it holds."""
        is_mp4 = self._path.suffix.lower() == ".mp4"
        free, size = shutil.disk_usage(self._path.parent).free, self._part.stat().st_size
        if not is_mp4 or free < size + MIN_FREE_BYTES:  # without the copy it plays too; only seeking is slower
            return num_frames_in(self._part)
        indexed = self._part.with_name(f"{self._part.stem}.indexed{self._part.suffix}")
        try:
            num_frames = move_index_to_front(self._part, indexed)
            os.replace(indexed, self._part)
        finally:
            indexed.unlink(missing_ok=True)
        return num_frames
