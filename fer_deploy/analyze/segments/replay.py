"""replay: turn observations into the results that a sequential analysis would have."""

from collections.abc import Iterable, Iterator

import numpy as np

from fer_deploy.analyze.segments.observations import Observation
from fer_deploy.vision.postprocess import emotions_from_probs
from fer_deploy.vision.tracking.people import People
from fer_deploy.vision.types import Frame, FrameResult


def replay(observations: Iterable[Observation], people: People, labels: tuple[str, ...]) -> Iterator[FrameResult]:
    """Yield the results of frames, without their pixels.

    Args:
        observations: in the order of the recording.
        people: state after the frames before; it is continued.
        labels: of the classifier.
    """
    for one in observations:
        detections = [face.detection for face in one.faces]
        faces = people.see_detections(detections, one.time_s, size=one.size)
        probs = np.stack([face.probs for face in one.faces]) if one.faces else np.empty((0, len(labels)), np.float32)
        qualities = [face.quality for face in one.faces]
        results = people.smooth(faces, emotions_from_probs(probs, labels), one.time_s, qualities)
        yield FrameResult(Frame.without_pixels(one.frame, one.time_s, one.size), results, hidden=people.hidden())
