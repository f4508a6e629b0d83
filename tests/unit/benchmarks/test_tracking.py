"""Each model is judged by the labels of its family, in every benchmark with labelled faces."""

from dataclasses import replace
from pathlib import Path

import baseline
import click
import crop_margin
import numpy as np
import pytest
import quality
import tracking
from click.testing import CliRunner
from live.between_detections import Clip
from unit.fer_train.synthetic_faces import make_faces, make_votes

from fer_deploy.engines.base import Engine
from fer_deploy.engines.fake import FAKE_SPEC, FakeEngine
from fer_deploy.vision.probabilities import Probabilities
from fer_deploy.vision.tracking.people import PeopleConfig
from fer_deploy.vision.types import Box, Detection, Emotion, TrackedFace
from fer_train.data.faces import EMOTIONS, FERPLUS_EMOTIONS

FACES = make_faces(PublicTest=70)
VOTED = replace(FACES, votes=make_votes(FACES))


class KnowsFaces(FakeEngine):
    """Answers with the labels of `FACES`; one of FER+ with those of the votes."""

    def __init__(self, label_set, temperature=1.0):
        labels = FERPLUS_EMOTIONS if label_set == "ferplus" else EMOTIONS
        spec = FAKE_SPEC.model_copy(
            update={"labels": labels, "label_set": label_set, "temperature": temperature, "architecture": "known"}
        )
        Engine.__init__(self, spec, "known")

    def _run(self, images_nchw):
        places = [np.flatnonzero((FACES.images == image[0]).all(axis=(1, 2)))[0] for image in images_nchw]
        labels = FACES.labels[places]
        if self.spec.label_set == "ferplus":
            labels = np.where(VOTED.votes[places].argmax(axis=1) == FERPLUS_CONTEMPT, 7, labels)
        return (4 * np.eye(len(self.spec.labels))[labels]).astype(np.float32)


FERPLUS_CONTEMPT = int(np.flatnonzero(VOTED.votes[4] == 7)[0])
"""Column of the votes for contempt: every fifth face has them."""


@pytest.mark.parametrize("label_set", ["fer2013", "ferplus"])
def test_the_thresholds_are_judged_by_the_labels_of_the_family(label_set, monkeypatch):
    engine = KnowsFaces(label_set)
    faces = tracking.own_faces(VOTED, "PublicTest", engine.spec.model_dump())
    rows = tracking.sureness_table(faces, engine)
    assert {row["right_at_or_above"] for row in rows} == {1.0}
    for name in ("errors_between", "hidden_for", "smoothing_table", "threshold_table"):
        monkeypatch.setattr(tracking, name, lambda *_: [])
    (title,) = (name for name in tracking.tables_of([], engine, faces) if name.startswith("Confidence"))
    assert title.endswith("FER+ majority" if label_set == "ferplus" else "FER2013's labels")


def test_the_confidence_is_that_after_the_temperature():
    cold, hot = (
        tracking.sureness_table(VOTED, KnowsFaces("fer2013", temperature))[-1]["share"] for temperature in (1.0, 20.0)
    )
    assert (cold, hot) == (0.0, 1.0)


@pytest.mark.parametrize("module", [tracking, crop_margin, quality, baseline])
@pytest.mark.parametrize("label_set", ["fer2013", "ferplus"])
def test_every_benchmark_asks_for_the_labels_of_its_model(module, label_set, tmp_path, monkeypatch):
    asked = []

    def own_faces(faces, split, spec):
        asked.append((split, spec["label_set"]))
        raise click.ClickException("asked")

    for name in ("open_yunet", "YuNetFinder", "FaceSearch", "build_detectors", "known_clip"):
        monkeypatch.setattr(module, name, lambda *_, **__: lambda: None, raising=False)
    monkeypatch.setattr(module, "read_faces", lambda *_, **__: VOTED)
    monkeypatch.setattr(module, "open_engine", lambda *_, **__: KnowsFaces(label_set))
    monkeypatch.setattr(module, "own_faces", own_faces)
    for name in ("yunet.onnx", "clip.gif"):
        (tmp_path / name).touch()
    options = {"--data": ".", "--ferplus": ".", "--yunet": "yunet.onnx", "--clip": "clip.gif", "--engine": "yunet.onnx"}
    words = [str(word) for option, name in options.items() for word in (option, Path(tmp_path, name))]
    done = CliRunner().invoke(module.main, words)
    assert "asked" in done.output, done.output
    assert asked == [("PublicTest", label_set)]


def test_changes_of_what_is_shown_are_counted_a_minute_of_a_face():
    face = TrackedFace(1, Detection(Box(0, 0, 9, 9)))
    clip = Clip("a", 2.0, [np.zeros((9, 9, 3), np.uint8)] * 5, [(), (face,), (face,), (face,), (face,)])
    answers = [
        [],
        *([Emotion(label, 0.9, Probabilities.from_dict({"a": 0.1, "b": 0.1, label: 0.9}))] for label in "abba"),
    ]
    config = PeopleConfig(smoothing_s=0.0, hysteresis=0.0)
    assert tracking.label_changes([clip], [answers], config) == 60 * 2 / 2.0  # two changes in two seconds


def test_all_tables_are_made_of_a_clip():
    """A frame without a face is among them."""
    points = tuple((20.0 + 5 * number, 30.0) for number in range(5))
    boxes = enumerate((Box(9, 9, 49, 49), Box(70, 9, 110, 49)), start=1)
    face, other = (TrackedFace(number, Detection(box, 0.9, points)) for number, box in boxes)
    picture = np.random.default_rng(0).integers(0, 256, (64, 128, 3), dtype=np.uint8)
    clip = Clip("a", 12.0, [picture] * 44, [(face,), *[(face, other)] * 42, ()])
    tables = tracking.tables_of([clip], FakeEngine(), None)
    assert all(
        rows and all(np.isfinite(v) for v in rows[0].values() if isinstance(v, float)) for rows in tables.values()
    )
