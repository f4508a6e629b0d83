import json
import math

import cv2
import numpy as np
import pytest

from fer_deploy.errors import ConfigError
from fer_deploy.vision.probabilities import Probabilities
from fer_deploy.vision.tracking.people import People, PeopleConfig
from fer_deploy.vision.types import Box, Detection, Emotion, FaceResult, TrackedFace

LABELS = ("sad", "happy")
CLIPS = ("face-demographics-walking-and-pause.gif", "head-pose-face-detection-female-and-male.gif")
NUM_PEOPLE = {CLIPS[0]: 3, CLIPS[1]: 2}


def emotion(happy: float) -> Emotion:
    return Emotion(
        "happy" if happy > 0.5 else "sad",
        max(happy, 1 - happy),
        Probabilities.from_dict({"happy": happy, "sad": 1 - happy}),
    )


class Clip:
    """The frames of a recording with the faces that YuNet finds in each."""

    def __init__(self, shared_dir, name: str) -> None:
        capture = cv2.VideoCapture(str(shared_dir / "clips" / name))
        self.fps = capture.get(cv2.CAP_PROP_FPS)
        self.frames = []
        while (read := capture.read())[0]:
            self.frames.append(read[1])
        capture.release()
        height, width = self.frames[0].shape[:2]
        model = str(shared_dir / "models" / "face_detection_yunet_2026may.onnx")
        detector = cv2.FaceDetectorYN.create(model, "", (width, height), 0.6)
        self.detections = [self._in_types(detector.detect(frame)[1]) for frame in self.frames]

    @staticmethod
    def _in_types(rows) -> list[Detection]:
        found = []
        for row in sorted(rows.tolist()):
            x, y, w, h = (round(value) for value in row[:4])
            points = np.array(row[4:14]).reshape(5, 2).tolist()
            found.append(Detection(Box(x, y, x + w, y + h), row[14], tuple((px, py) for px, py in points)))
        return found

    def run(self, people: People, every: int, first: int = 0, end: int | None = None) -> list[tuple[TrackedFace, ...]]:
        results = []
        for index in range(first, len(self.frames) if end is None else end):
            frame, time_s = self.frames[index], index / self.fps
            is_seen = index % every == 0
            results.append(
                people.see(frame, self.detections[index], time_s) if is_seen else people.follow(frame, time_s)
            )
        return results


@pytest.fixture(scope="module", params=CLIPS)
def clip(request, shared_dir):
    return Clip(shared_dir, request.param), NUM_PEOPLE[request.param]


@pytest.mark.shared
@pytest.mark.parametrize("every", [1, 3])
def test_each_person_keeps_one_number_for_the_whole_clip(clip, every):
    recording, num_people = clip
    results = recording.run(People(PeopleConfig(), LABELS), every)
    for index, faces in enumerate(results):
        by_place = sorted(faces, key=lambda face: face.detection.box.x1)
        assert len(by_place) == num_people, index
        assert [face.track_id for face in by_place] == [
            face.track_id for face in sorted(results[0], key=lambda face: face.detection.box.x1)
        ]
        assert all(face.is_detected is (index % every == 0) for face in faces)


@pytest.mark.shared
def test_a_followed_face_stays_within_a_tenth_of_a_face_of_where_it_is_detected(clip):
    recording, _ = clip
    for index, faces in enumerate(recording.run(People(PeopleConfig(), LABELS), 3)):
        truth = recording.detections[index]
        followed = sorted(faces, key=lambda face: face.detection.box.x1)
        for face, detected in zip(followed, truth, strict=True):
            got, want = face.detection.box, detected.box
            off = math.hypot(got.x1 + got.x2 - want.x1 - want.x2, got.y1 + got.y2 - want.y1 - want.y2) / 2
            assert off < 0.1 * (want.x2 - want.x1)
            assert np.abs(np.subtract(face.detection.landmarks, detected.landmarks)).max() < 0.2 * (want.x2 - want.x1)


@pytest.mark.shared
@pytest.mark.parametrize("cut", [1, 7, 12, 20])
def test_a_run_cut_anywhere_and_restored_goes_on_alike(clip, cut):
    recording, _ = clip
    config = PeopleConfig()
    whole, first = People(config, LABELS), People(config, LABELS)
    expected = recording.run(whole, 3)
    assert recording.run(first, 3, end=cut) == expected[:cut]
    second = People.from_state(config, LABELS, json.loads(json.dumps(first.state())))
    assert recording.run(second, 3, first=cut) == expected[cut:]
    assert second.state() == whole.state()


def test_state_of_another_model_is_refused():
    state = People(PeopleConfig(), LABELS).state()
    with pytest.raises(ConfigError, match=r"labels \['sad', 'happy'\]; this one has \['angry'\]. Fix: go on with"):
        People.from_state(PeopleConfig(), ("angry",), state)


@pytest.mark.parametrize(
    "damage", [{"tracks": {"next_id": "x"}}, {"tracks": None}, {"smoothing": {"moods": {"1": {}}}}]
)
def test_damaged_state_is_refused(damage):
    state = People(PeopleConfig(), LABELS).state()
    with pytest.raises(ConfigError, match=r"the saved tracks cannot be read: damaged, or .* Fix: start from the begin"):
        People.from_state(PeopleConfig(), LABELS, {**state, **damage})


def test_smoothing_may_lag_behind_tracking():
    def tracked(people: People, index: int) -> tuple[TrackedFace, ...]:
        boxes = [Box(10 + 3 * index, 10, 60 + 3 * index, 70), Box(200, 10, 250, 70)]
        return people.see(np.zeros((100, 300, 3), np.uint8), [Detection(box) for box in boxes], index / 10)

    def smoothed(people: People, faces: tuple[TrackedFace, ...], index: int) -> tuple[FaceResult, ...]:
        return people.smooth(faces, [emotion(index / 20), emotion(0.9)], index / 10)

    together, apart = People(PeopleConfig(), LABELS), People(PeopleConfig(), LABELS)
    expected = [smoothed(together, tracked(together, index), index) for index in range(20)]
    ahead = [tracked(apart, index) for index in range(20)]
    assert [smoothed(apart, faces, index) for index, faces in enumerate(ahead)] == expected


def test_the_halves_make_the_whole_state():
    people = People(PeopleConfig(), LABELS)
    frame = np.zeros((100, 100, 3), np.uint8)
    seen = people.see(frame, [Detection(Box(10, 10, 50, 60))], 0.0)
    people.smooth(seen, [emotion(0.9)], 0.0)
    assert people.state() == {
        "labels": list(LABELS),
        "tracks": people.tracks_state(),
        "smoothing": people.smoothing_state(),
    }
