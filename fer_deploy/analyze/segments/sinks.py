"""Sinks of a segment: a counter, its tables, and its part of the annotated video."""

from contextlib import ExitStack
from pathlib import Path
from typing import Final

from fer_deploy.analyze.parts import Parts
from fer_deploy.live.fingerprint.run_fingerprint import RunFingerprint
from fer_deploy.live.output_files import VideoCodec
from fer_deploy.live.sinks import CsvSink, ParquetSink, Picture, Sink, VideoSink
from fer_deploy.live.sinks.video.picture_fit import fit_picture
from fer_deploy.vision.types import FrameResult

FIX: Final = "another --out"
"""End of the message if a segment's file cannot be written."""


class Tally(Sink):
    """Counts results; `start_s` is the time of the first frame."""

    name = "tally"

    def __init__(self) -> None:
        self.num_frames = self.num_with_faces = self.num_faces = 0
        self.start_s = 0.0

    def write(self, result: FrameResult, picture: Picture | None) -> bool:
        """Count a frame."""
        if self.num_frames == 0:
            self.start_s = result.frame.time_s
        self.num_frames += 1
        self.num_faces += len(result.faces)
        self.num_with_faces += bool(result.faces)
        return True


class PartVideoSink(VideoSink):
    """A part of an annotated video. All parts have the size of the video's first frame, so they can be joined.

    Frames keep their times: phones record at an uneven rate.
    """

    def __init__(self, path: Path, fps: float, *, size: tuple[int, int], codec: VideoCodec = "auto") -> None:
        """See `VideoSink`; `size` is width and height."""
        super().__init__(path, fps, is_live=True, fix=FIX, codec=codec)
        self._frame_size = size

    def write(self, result: FrameResult, picture: Picture | None) -> bool:
        """Append a picture, scaled to the size of the video."""
        assert picture is not None
        return super().write(result, fit_picture(picture, self._frame_size))


def open_tables(
    parts: Parts,
    segment: int,
    labels: tuple[str, ...],
    opened: ExitStack,
    *,
    is_corrected: bool,
    run: RunFingerprint,
) -> list[Sink]:
    """Return the sinks of a segment's tables; `opened` closes them. `is_corrected` and `run`: see `TableSink`.

    Raises:
        SinkError: they cannot be created.
    """
    parquet = ParquetSink(parts.path(segment, "parquet"), labels, is_corrected=is_corrected, run=run, fix=FIX)
    opened.enter_context(parquet)
    csv = CsvSink(parts.path(segment, "csv"), labels, is_corrected=is_corrected, run=run, fix=FIX)
    return [parquet, opened.enter_context(csv)]
