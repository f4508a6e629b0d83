"""observe: run the live loop over a segment without people, and collect what it finds in each frame."""

from collections.abc import Callable, Sequence

import numpy as np

from fer_deploy.analyze.models import Models
from fer_deploy.analyze.segments.observations import Observation, ObservedFace
from fer_deploy.analyze.segments.recording import Recording
from fer_deploy.live.config import PipelineConfig
from fer_deploy.live.pipeline import LivePipeline
from fer_deploy.live.sinks import Picture, Sink
from fer_deploy.live.threads.cores import shared_cores
from fer_deploy.vision.quality import FaceQuality
from fer_deploy.vision.tracking.people import People
from fer_deploy.vision.tracking.tracks import without_duplicates
from fer_deploy.vision.types import Box, Detection, Emotion, FaceResult, FrameResult, TrackedFace


class _Strangers(People):
    """People without memory: each face of a frame is a new one, and its emotion is not smoothed."""

    def __init__(self) -> None:
        """Start without state."""

    def see(self, frame_bgr: object, detections: Sequence[Detection], time_s: float) -> tuple[TrackedFace, ...]:
        """Return the detections that tracking would use."""
        return tuple(TrackedFace(number, found) for number, found in enumerate(without_duplicates(detections), 1))

    def hidden(self) -> tuple[Box, ...]:
        """Return nothing: there are no earlier frames."""
        return ()

    def smooth(
        self,
        faces: Sequence[TrackedFace],
        emotions: Sequence[Emotion],
        time_s: float,
        qualities: Sequence[FaceQuality] | None = None,
    ) -> tuple[FaceResult, ...]:
        """Return the classifier's answers and the qualities as they are."""
        assert qualities is not None
        rows = zip(faces, emotions, qualities, strict=True)
        return tuple(FaceResult(face, emotion, emotion, quality=quality) for face, emotion, quality in rows)


class _Collector(Sink):
    name = "observations"
    needs_pixels = False

    def __init__(self) -> None:
        self.observations: list[Observation] = []

    def write(self, result: FrameResult, picture: Picture | None) -> bool:
        frame, faces = result.frame, tuple(map(_observed, result.faces))
        self.observations.append(Observation(frame.index, frame.time_s, frame.size, faces))
        return True


def _observed(face: FaceResult) -> ObservedFace:
    assert face.quality is not None
    return ObservedFace(face.face.detection, np.asarray(face.emotion.probs, dtype=np.float32), face.quality)


def observe(
    recording: Recording,
    num_frames: int,
    models: Models,
    *,
    config: PipelineConfig,
    first_size: tuple[int, int],
    on_progress: Callable[[int], None] = lambda num: None,
    num_threads: int = 1,
) -> list[Observation]:
    """Return the observations of the next frames of a recording, at most `num_frames`.

    The loop is that of a sequential analysis, so the batches of the engine are the same, and so are the results, to the
    last bit. That needs a detector that searches every frame.

    Args:
        recording: at the first frame of a segment.
        num_frames: in a segment.
        models: engine and detectors.
        config: of the analysis.
        first_size: width and height of the recording's first frame.
        on_progress: called several times a second with the number of frames.
        num_threads: that detect and classify; the results do not depend on it.

    Raises:
        FerDeployError: as `LivePipeline.run`.
    """
    segment = recording.segment(num_frames)
    segment.first_size = first_size
    collector = _Collector()
    alone = config.model_copy(update={"workers": num_threads, "anonymize": None})
    loop = LivePipeline(segment, models.detectors, models.engine, [collector], config=alone, people=[_Strangers()])
    with shared_cores(1):
        loop.run(lambda now: on_progress(now.num_frames))
    return collector.observations
