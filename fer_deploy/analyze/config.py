"""AnalyzeConfig: everything that shapes a run of `fer-deploy analyze`."""

import math
from pathlib import Path
from typing import Final, Self

from pydantic import Field, model_validator

from fer_deploy.detectors import DetectorConfig
from fer_deploy.engines.config import EngineChoice
from fer_deploy.live.config import PipelineConfig
from fer_deploy.live.intake import CHUNK_FRAMES
from fer_deploy.live.sinks.video.codecs import VideoCodec

USUAL_SEGMENT_FRAMES: Final = 960
"""What a run that is killed has to do again at most: half a minute of video."""


class AnalyzeConfig(EngineChoice):
    """YAML keys and flags have these names; groups are nested in YAML, and the same as those of `fer-deploy live`."""

    out: Path = Field(strict=False, description="folder for the results; each video gets a folder of its own in it")
    video: bool = Field(default=True, description="write the annotated video")
    video_codec: VideoCodec = Field(
        default="auto", description="of the annotated video; auto: VP9, which plays in browsers; x264 is under the GPL"
    )
    segment_frames: int | None = Field(
        default=None, ge=1, le=100_000, description="frames between two checkpoints; none: about a thousand"
    )
    detection: DetectorConfig = DetectorConfig()
    pipeline: PipelineConfig = PipelineConfig()

    @model_validator(mode="after")
    def _segments_are_whole_chunks(self) -> Self:
        if self.pipeline.max_frames is not None:
            raise ValueError("max_frames is for fer-deploy live; a recording is analyzed as a whole")
        if self.segment_frames is not None and self.segment_frames % self.segment_multiple:
            near = max(1, round(self.segment_frames / self.segment_multiple)) * self.segment_multiple
            raise ValueError(
                f"segment_frames is {self.segment_frames}, expected a multiple of {self.segment_multiple}. "
                f"Fix: segment_frames: {near}"
            )
        return self

    @property
    def segment_multiple(self) -> int:
        """Segments end where the loop's chunks end, whatever the size of its frames, as long as they keep it.

        Then every frame is in the batch in which it would be without segments, and gets the same result to the last
        bit.
        """
        every = self.pipeline.detect_every
        return math.lcm(*range(1, CHUNK_FRAMES + 1), 1 if every == "auto" else every)

    @property
    def frames_per_segment(self) -> int:
        """The number of frames between two checkpoints."""
        return self.segment_frames or math.ceil(USUAL_SEGMENT_FRAMES / self.segment_multiple) * self.segment_multiple
