"""Both models are measured, each on faces with the labels of its family, and the report names what was not."""

import json
from dataclasses import replace

import crop_margin
import numpy as np
import pytest
from click.testing import CliRunner
from unit.fer_train.synthetic_faces import make_faces, make_votes

from fer_deploy.engines.base import Engine
from fer_deploy.engines.fake import FAKE_SPEC, FakeEngine
from fer_deploy.vision.types import Box, Detection
from fer_train.data.faces import EMOTIONS, FERPLUS_EMOTIONS

FACES = make_faces(PublicTest=22)
VOTED = replace(FACES, votes=make_votes(FACES))
CONTEMPT = FERPLUS_EMOTIONS.index("contempt")


class SaysContempt(FakeEngine):
    """Answers each face with the last class of its family: neutral, or contempt."""

    def __init__(self, label_set):
        labels = FERPLUS_EMOTIONS if label_set == "ferplus" else EMOTIONS
        spec = {"labels": labels, "label_set": label_set, "architecture": "senet"}
        Engine.__init__(self, FAKE_SPEC.model_copy(update=spec), "a runtime")

    def _run(self, images_nchw):
        return np.tile(np.eye(len(self.spec.labels), dtype=np.float32)[-1], (len(images_nchw), 1))


class FindsTheSquare:
    """Finds the original square of every picture."""

    def detect(self, picture):
        first, last = crop_margin.MARGIN, crop_margin.MARGIN + crop_margin.ENLARGED
        return [Detection(Box(first, first, last, last), 0.9)]


@pytest.fixture
def words(tmp_path, monkeypatch):
    """Options of a run on made-up faces, without a detector."""
    for name in ("open_yunet", "YuNetFinder"):
        monkeypatch.setattr(crop_margin, name, lambda *_, **__: None)
    monkeypatch.setattr(crop_margin, "FaceSearch", lambda *_, **__: FindsTheSquare())
    monkeypatch.setattr(crop_margin, "read_faces", lambda _, ferplus: VOTED if ferplus else FACES)
    for name in ("SCALES", "SHIFTS", "ROLLS"):
        monkeypatch.setattr(crop_margin, name, getattr(crop_margin, name)[:2])
    (tmp_path / "yunet.onnx").touch()
    return ["--data", str(tmp_path), "--yunet", str(tmp_path / "yunet.onnx"), "--out", str(tmp_path / "crops.md")]


@pytest.fixture
def opened(monkeypatch):
    """Names of the files that the benchmark opened."""
    found = []

    def open_engine(path, **_):
        found.append(path.name)
        return SaysContempt("ferplus" if "ferplus" in path.name else "fer2013")

    monkeypatch.setattr(crop_margin, "open_engine", open_engine)
    return found


def measured(words, tmp_path):
    done = CliRunner().invoke(crop_margin.main, words, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return json.loads((tmp_path / "crops.json").read_text()), (tmp_path / "crops.md").read_text()


def test_with_votes_the_default_model_is_measured_beside_the_other(words, opened, tmp_path):
    result, text = measured([*words, "--ferplus", str(tmp_path)], tmp_path)
    assert opened[0] == "senet-int8-cpu.onnx"
    assert opened[1].startswith("senet-ferplus-")
    other, default = result["models"]
    assert (other["model"], other["labels"], other["faces"]) == ("senet", "fer2013", 22)
    # Two faces of 22 have no majority, one is not a face.
    assert (default["model"], default["labels"], default["faces"]) == ("senet-ferplus", "ferplus", 19)
    assert "## senet: FER2013's labels, 22 faces\n" in text
    assert "## senet-ferplus: FER+ majority, 19 faces\n\na runtime.\n\n### YuNet\n" in text
    assert "not measured" not in text
    names = [one["name"] for one in result["measures"]]
    assert len(names) == len(set(names))
    assert {"senet, Haar: faces found", "senet-ferplus, Haar: faces found"} <= set(names)


def test_the_default_model_is_judged_by_the_majority_in_eight_classes(words, opened, tmp_path):
    result, _ = measured([*words, "--ferplus", str(tmp_path)], tmp_path)
    majority = crop_margin.own_faces(VOTED, "PublicTest", SaysContempt("ferplus").spec.model_dump())
    share = float((majority.labels == CONTEMPT).mean())
    other, default = (model["margins"]["YuNet"]["grid"] for model in result["models"])
    assert share > 0.1
    assert [row["accuracy"] for row in default] == pytest.approx([share] * 4)
    assert [row["accuracy"] for row in other] == pytest.approx([float((FACES.labels == 6).mean())] * 4)


def test_without_votes_the_report_says_what_it_did_not_measure(words, opened, tmp_path):
    result, text = measured(words, tmp_path)
    assert opened == ["senet-int8-cpu.onnx"]
    assert [model["model"] for model in result["models"]] == ["senet"]
    assert "Note: the default model (--model ferplus) was not measured: " in text
    assert "Fix: --ferplus fer2013new.csv." in text


def test_a_model_of_ones_own_is_measured_alone(words, opened, tmp_path):
    (tmp_path / "own.onnx").touch()
    result, text = measured([*words, "--engine", str(tmp_path / "own.onnx")], tmp_path)
    assert opened == ["own.onnx"]
    assert result["notes"] == []
    assert "not measured" not in text
