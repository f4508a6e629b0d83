"""AnalyzeConfig: all settings of `fer-deploy analyze`."""

import math
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from fer_deploy.analyze.segments.selection import Selection
from fer_deploy.detectors import DetectorConfig
from fer_deploy.engines.config import EngineChoice
from fer_deploy.errors import argument
from fer_deploy.files.user_csv import TIMES, seconds_from_text
from fer_deploy.live.config import PipelineConfig, require_all_faces
from fer_deploy.live.intake import CHUNK_FRAMES
from fer_deploy.live.output_files import VideoCodec

USUAL_SEGMENT_FRAMES: Final = 960
"""Frames between checkpoints, about half a minute of video; a killed run repeats at most this many."""

MOST_JOBS: Final = 256


def _seconds(value: object) -> object:
    """Convert a time as text to seconds."""
    if not isinstance(value, str):
        return value
    seconds = seconds_from_text(value.strip())
    if seconds is None:
        raise ValueError(f"no time. Fix: {TIMES}")
    return seconds


_SAMPLES_IN_SIGHT: Final = 2
"""Sampled frames within `keep_s` at least, so that a face which is missed in one of them is found again."""
_Time = Annotated[float | None, BeforeValidator(_seconds)]


class AnalyzeConfig(EngineChoice):
    """Settings; YAML keys and flags have these names. Groups are nested in YAML, as for `fer-deploy live`."""

    out: Path = Field(strict=False, description="folder for the results; each video gets its own folder in it")
    video: bool = Field(default=True, description="write the annotated video")
    video_codec: VideoCodec = Field(
        default="auto", description="of the annotated video; auto: VP9, which plays in browsers; x264 is under the GPL"
    )
    thumbnails: bool | None = Field(
        default=None, description="pictures of the people in the report; none: if there is an annotated video"
    )
    segment_frames: int | None = Field(
        default=None, ge=1, le=100_000, description="frames between two checkpoints; none: about a thousand"
    )
    jobs: int | Literal["auto"] = Field(
        default=1, description="processes that analyze segments at once, over all videos; auto: one a core"
    )
    start: _Time = Field(
        default=None, ge=0, description="where the analysis begins, in seconds of the video or as 1:02.5; none: at 0"
    )
    end: _Time = Field(default=None, gt=0, description="where the analysis ends; none: at the end of the video")
    sample_fps: float | None = Field(
        default=None, gt=0, le=1000, description="frames that are analyzed of each second; none: every frame"
    )
    detection: DetectorConfig = DetectorConfig()
    pipeline: PipelineConfig = PipelineConfig()

    @model_validator(mode="after")
    def _range_is_one(self) -> Self:
        if self.end is not None and self.end <= (self.start or 0.0):
            raise ValueError(
                f"{argument('end')} is {self.end:g} s and {argument('start')} {self.start or 0.0:g} s. Fix: an end "
                "after the start; both count from the beginning of the video"
            )
        return self

    @model_validator(mode="after")
    def _samples_show_the_same_people(self) -> Self:
        fps, every, keep_s = self.sample_fps, self.pipeline.detect_every, self.pipeline.people.keep_s
        if fps is None:
            return self
        if every not in (1, "auto"):
            raise ValueError(
                f"{argument('sample_fps')} is {fps:g} and {argument('detect_every')} {every}: faces are not followed "
                f"over frames that are left out. Fix: without {argument('detect_every')}"
            )
        least = _SAMPLES_IN_SIGHT / keep_s
        if fps < least:
            longer_s = _SAMPLES_IN_SIGHT / fps
            least_given = argument("sample_fps", f"{least:g}")
            or_longer = f", or in --config pipeline: {{people: {{keep_s: {longer_s:g}}}}}" if longer_s <= 60 else ""
            raise ValueError(
                f"{argument('sample_fps')} is {fps:g}, but a face unseen for {keep_s:g} s (pipeline.people.keep_s) is "
                f"another person, so it needs {least:g} or more frames a second. Fix: {least_given}{or_longer}"
            )
        return self

    @model_validator(mode="after")
    def _segments_are_whole_chunks(self) -> Self:
        if self.pipeline.max_frames is not None:
            raise ValueError(
                f"max_frames is for fer-deploy live. Fix: {argument('end')}, a time, for a part of a video"
            )
        if self.segment_frames is not None and self.segment_frames % self.segment_multiple:
            near = max(1, round(self.segment_frames / self.segment_multiple)) * self.segment_multiple
            raise ValueError(
                f"segment_frames is {self.segment_frames}, expected a multiple of {self.segment_multiple}. "
                f"Fix: segment_frames: {near}"
            )
        return self

    @model_validator(mode="after")
    def _jobs_see_every_frame(self) -> Self:
        jobs, every = self.jobs, self.pipeline.detect_every
        if jobs != "auto" and not 1 <= jobs <= MOST_JOBS:
            raise ValueError(f"jobs is {jobs}, expected 1 to {MOST_JOBS}, or auto. Fix: {argument('jobs', 'auto')}")
        if jobs not in (1, "auto") and every not in (1, "auto"):
            raise ValueError(
                f"jobs is {jobs} and detect_every is {every}: faces between two runs of the detector depend on "
                f"frames of other segments. Fix: {argument('detect_every', '1')}, or {argument('jobs', '1')}"
            )
        return self

    @model_validator(mode="after")
    def _all_faces_are_covered(self) -> Self:
        require_all_faces(self.pipeline, self.detection)
        return self

    @property
    def selection(self) -> Selection:
        """Which frames are analyzed."""
        return Selection(self.start or 0.0, self.end, self.sample_fps)

    @property
    def takes_pictures(self) -> bool:
        """Whether the results have pictures of people. Without an annotated video they are off by default."""
        return self.video if self.thumbnails is None else self.thumbnails

    @property
    def segment_multiple(self) -> int:
        """Segments are a multiple of this many frames, so that they end where the loop's chunks end.

        Then every frame is in the same batch as without segments, and its result is the same to the last bit. This
        holds for every size of frame, as long as the size does not change.
        """
        every = self.pipeline.detect_every
        return math.lcm(*range(1, CHUNK_FRAMES + 1), 1 if every == "auto" else every)

    @property
    def frames_per_segment(self) -> int:
        """The number of frames between two checkpoints."""
        return self.segment_frames or math.ceil(USUAL_SEGMENT_FRAMES / self.segment_multiple) * self.segment_multiple
