import json
from pathlib import Path

import numpy as np
import pytest
from accuracy import PYTORCH, logits_of, main, measures_of, paired_interval
from click.testing import CliRunner
from harness.accuracy_report import DIM_AND_SOFT, as_markdown
from unit.fer_train.synthetic_faces import make_faces, write_csv

from fer_deploy.export.verify.slices import Slice, degraded

REPO = Path(__file__).parents[3]
BUNDLED = REPO / "fer_deploy" / "models"
WEIGHTS = REPO / "weights"


class TestPairedInterval:
    def test_equal_answers_have_no_width(self):
        right = np.array([True, False, True, True])
        assert paired_interval(right, right) == [0.0, 0.0]

    def test_depends_on_the_faces_that_differ_only(self):
        # 20 gained and 20 lost of 1,000: standard error sqrt(40) / 1,000, whatever the other 960 are.
        ours = np.array([True] * 20 + [False] * 20 + [True] * 960)
        reference = np.array([False] * 20 + [True] * 20 + [True] * 960)
        low, high = paired_interval(ours, reference)
        assert low == pytest.approx(-1.96 * np.sqrt(40) / 1000, abs=0.001)
        assert high == pytest.approx(-low, abs=0.001)

    def test_a_sure_gain_excludes_zero(self):
        low, high = paired_interval(np.array([True] * 50 + [False] * 50), np.zeros(100, dtype=bool))
        assert 0.39 < low < 0.5 < high < 0.61


@pytest.fixture(scope="module")
def csv(tmp_path_factory):
    return write_csv(tmp_path_factory.mktemp("data") / "fer2013.csv", make_faces())


def run(*flags: object):
    return CliRunner().invoke(main, [str(flag) for flag in flags])


def test_every_artifact_against_pytorch_on_the_same_faces(csv, tmp_path):
    out = tmp_path / "accuracy.md"
    artifacts = tmp_path / "artifacts"
    artifacts.mkdir()
    (artifacts / "senet-int8-cpu.onnx").symlink_to(BUNDLED / "senet-int8-cpu.onnx")
    (artifacts / "senet-fp16.plan").write_bytes(b"no plan")
    done = run("--checkpoint", WEIGHTS / "senet.safetensors", "--artifacts", artifacts, "--data", csv, "--out", out)
    assert done.exit_code == 0, done.output
    rows = json.loads(out.with_suffix(".json").read_text())["results"]
    measures = json.loads(out.with_suffix(".json").read_text())["measures"]
    assert [one["name"].partition("onnx, fer2013, ")[2] for one in measures if "int8" in one["name"]] == [
        "plain: accuracy",
        "flip: accuracy",
        "dim and soft: accuracy",
        "dim and soft: same emotion",
        "dim and soft: happy faces found",
    ]
    measured = [row for row in rows if "skipped" not in row]
    assert [(row["artifact"], row["view"]) for row in measured] == [
        (PYTORCH, "plain"),
        (PYTORCH, "flip"),
        (PYTORCH, DIM_AND_SOFT),
        ("senet-int8-cpu.onnx", "plain"),
        ("senet-int8-cpu.onnx", "flip"),
        ("senet-int8-cpu.onnx", DIM_AND_SOFT),
    ]
    assert {row["num_faces"] for row in measured} == {measured[0]["num_faces"]}
    assert measured[0]["change"] is None
    int8 = measured[3]
    assert int8["change"] == pytest.approx(int8["accuracy"] - measured[0]["accuracy"])
    assert "Gaussian blur, sigma 1.2, then contrast at most 25. Sigma is" in out.read_text()
    assert [row["artifact"] for row in rows if "skipped" in row] == ["senet-fp16.plan"]
    assert "senet-fp16.plan: " in out.read_text()
    assert out.with_suffix(".png").stat().st_size > 1000


def test_an_artifact_of_another_model_is_refused(csv):
    done = run(
        "--checkpoint",
        WEIGHTS / "senet.safetensors",
        "--data",
        csv,
        "--artifacts",
        BUNDLED / "senet-ferplus-int8-cpu.onnx",
    )
    assert done.exit_code == 2
    assert "senet-ferplus-int8-cpu.onnx is senet-ferplus, and no --checkpoint is. Fix: " in done.output


def test_a_folder_without_artifacts(csv, tmp_path):
    done = run("--checkpoint", WEIGHTS / "senet.safetensors", "--data", csv, "--artifacts", tmp_path)
    assert done.exit_code == 2
    assert f"Fix: fer-deploy export --out {tmp_path}" in done.output


class KeepsFaces:
    """An engine that keeps the faces that it is given, and answers with their mean and their deviation."""

    def __init__(self):
        self.given = []

    def infer(self, images):
        self.given.append(images)
        return np.stack([images.mean(axis=(1, 2, 3)), images.std(axis=(1, 2, 3))], axis=1).astype(np.float32)


def test_dim_and_soft_faces_are_those_of_the_export(monkeypatch):
    monkeypatch.setattr("accuracy.BATCH_SIZE", 2)
    images = np.random.default_rng(0).integers(0, 256, (3, 48, 48), dtype=np.uint8)
    engine = KeepsFaces()
    logits = logits_of(engine, images, what="an engine")
    soft = degraded(images[:, None], Slice.DIM_SOFT)
    assert np.array_equal(np.concatenate(engine.given[2::3]), soft)
    assert logits[DIM_AND_SOFT][:, 1] == pytest.approx(soft.std(axis=(1, 2, 3)))
    assert logits["plain"][:, 1] == pytest.approx(images.std(axis=(1, 2)))


SOFT_ROW = {
    "model": "senet-ferplus",
    "artifact": "senet-ferplus-fp16.onnx",
    "labels": "ferplus",
    "view": DIM_AND_SOFT,
    "num_faces": 3199,
    "accuracy": 0.84,
    "accuracy_interval": [0.83, 0.85],
    "same_emotion": 0.98515,
    "recall": {"happy": 0.9365, "sad": 0.5},
    "support": {"happy": 865, "sad": 2334},
}
ENVIRONMENT = dict.fromkeys(("hardware", "date", "python", "onnxruntime", "split", "command", "dim_and_soft"), "")


def test_dim_and_soft_faces_have_a_table_of_their_own():
    text = as_markdown([SOFT_ROW], ENVIRONMENT)
    lines = [line for line in text.splitlines() if line.startswith("| senet-ferplus")]
    assert lines == [
        "| senet-ferplus | senet-ferplus-fp16.onnx | ferplus | 3,199 | 84.00 [83.0, 85.0] | 98.52% | 93.7% of 865 |"
    ]


def test_labels_without_happy_and_pytorch_itself_have_a_dash():
    row = SOFT_ROW | {"same_emotion": None, "recall": {"a": 0.5}, "support": {"a": 3199}}
    assert "| 84.00 [83.0, 85.0] | - | - |" in as_markdown([row], ENVIRONMENT)
    assert [one.name.rpartition(": ")[2] for one in measures_of([row])] == ["accuracy"]
