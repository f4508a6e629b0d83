"""VideoSink: record an annotated video."""

import os
import shutil
from pathlib import Path

import av

from fer_deploy.errors import ConfigError, SinkError
from fer_deploy.live.output_files import VideoCodec
from fer_deploy.live.sinks.base import Picture, Sink
from fer_deploy.live.sinks.unfinished import KeptBeside, replaceable, take_name, unfinished_path
from fer_deploy.live.sinks.video.codecs import MOTION_JPEG, choose_encoding
from fer_deploy.live.sinks.video.encoder import VIDEO_SUFFIXES, VideoEncoder
from fer_deploy.live.sinks.video.joining import move_index_to_front, num_frames_in
from fer_deploy.live.sinks.video.picture_fit import fit_picture
from fer_deploy.vision.types import FrameResult

MIN_FREE_BYTES = 16 * 2**20
"""Recording stops at this free disk space, so that the file can be finished."""


class VideoSink(Sink):
    """An annotated video at constant quality: VP9 by default in .mp4 or .mkv, Motion JPEG in .avi.

    The file has a temporary name until it is complete. A killed run leaves the temporary file, which plays except for
    its last one or two seconds.
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
        """Check suffix and folder. The first frame opens the encoder and sets its size.

        Args:
            path: the suffix chooses the container.
            fps: of the source.
            is_live: frames keep their times; otherwise they are evenly spaced.
            source: number of the recorded source; each source has its own clock, and so its own file.
            fix: end of the message if the file cannot be written.
            codec: of .mp4 and .mkv.

        Raises:
            ConfigError: the suffix is not of a known container, or this build of PyAV lacks the encoder.
            SinkError: the folder cannot be written, or a folder, device or pipe has that name.
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
        """Append a picture; it is scaled to the first one's size."""
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
            kept = ", which has the frames up to here" if self._encoder else ""
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
        self._size = (width - width % 2, height - height % 2)  # the codecs need even sides
        if 0 in self._size:
            raise SinkError(f"cannot record {self._path}: frames of {width}x{height}. Fix: a source of at least 2x2")
        return VideoEncoder(self._part, size=self._size, fps=self._fps, is_live=self._is_live, encoding=self._encoding)

    def close(self) -> None:
        """Finish the video, check that it contains every frame, and rename it to its final name.

        An incomplete recording does not replace an older file.
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
        """Finish the temporary file and return its number of frames."""
        is_mp4 = self._path.suffix.lower() == ".mp4"
        free, size = shutil.disk_usage(self._path.parent).free, self._part.stat().st_size
        if not is_mp4 or free < size + MIN_FREE_BYTES:  # it plays without the copy, too; only seeking is slower
            return num_frames_in(self._part)
        indexed = self._part.with_name(f"{self._part.stem}.indexed{self._part.suffix}")
        try:
            num_frames = move_index_to_front(self._part, indexed)
            os.replace(indexed, self._part)
        finally:
            indexed.unlink(missing_ok=True)
        return num_frames
