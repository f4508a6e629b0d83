import json
from pathlib import Path

import numpy as np
import pytest
from accuracy import PYTORCH, main, paired_interval
from click.testing import CliRunner
from unit.fer_train.synthetic_faces import make_faces, write_csv

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
    assert [one["name"] for one in measures][2] == "senet, senet-int8-cpu.onnx, fer2013, plain: accuracy"
    measured = [row for row in rows if "skipped" not in row]
    assert [(row["artifact"], row["view"]) for row in measured] == [
        (PYTORCH, "plain"),
        (PYTORCH, "flip"),
        ("senet-int8-cpu.onnx", "plain"),
        ("senet-int8-cpu.onnx", "flip"),
    ]
    assert {row["num_faces"] for row in measured} == {measured[0]["num_faces"]}
    assert measured[0]["change"] is None
    int8 = measured[2]
    assert int8["change"] == pytest.approx(int8["accuracy"] - measured[0]["accuracy"])
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
