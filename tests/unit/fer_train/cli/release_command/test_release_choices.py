import json

import pytest
from unit.fer_train.cli.release_command.release_cases import release, run

from fer_train.checkpoint import read_spec_json
from fer_train.errors import ConfigError

pytestmark = pytest.mark.usefixtures("narrow_net")


@pytest.fixture
def rows(best, data, tmp_path):
    """Cells of the printed rows, of which none was written to a file."""
    before = sorted(tmp_path.rglob("*"))
    result = run("release", "--checkpoint", best, "--data", data, "--device", "cpu", "--choices")
    assert sorted(tmp_path.rglob("*")) == before
    assert "PublicTest, FER2013's labels" in result.stdout
    assert "What PublicTest chooses looks a little too good on PublicTest." in result.stdout
    assert "…" not in result.stdout, "80 columns hold every heading"
    lines = [line for line in result.stdout.splitlines() if line.count("│") == 7]
    return [[cell.strip() for cell in line.strip("│").split("│")] for line in lines]


def test_each_row_is_what_a_release_with_its_flags_measures(rows, best, data, tmp_path):
    shares = ["0", "0.1", "0.2", "0.3"]
    assert [row[:2] for row in rows] == [[flag, share] for flag in ("no", "yes") for share in shares]
    for row in (rows[0], rows[3], rows[4], rows[6]):
        flags = ["--logit-adjustment", row[1], *(["--recalibrate"] if row[0] == "yes" else [])]
        release(best, data, tmp_path / "out.safetensors", "--fp32", *flags)
        measured = json.loads(read_spec_json(tmp_path / "out.safetensors"))["metrics"]["PublicTest"]
        views = [measured[view] for view in ("plain", "flip")]
        assert row[2:] == [text for m in views for text in (f"{m['accuracy']:.2%}", f"{m['f1']:.4f}")]


def test_private_test_chooses_nothing(best, data):
    result = run(
        "release",
        "--checkpoint",
        best,
        "--data",
        data,
        "--choices",
        "--split",
        "PrivateTest",
        code=ConfigError.exit_code,
    )
    assert "PrivateTest chooses nothing: it is for one final measurement. Fix: another --split" in result.stderr


def test_what_it_was_trained_on_chooses_nothing(best, data):
    flags = ("--choices", "--split", "Training")
    result = run("release", "--checkpoint", best, "--data", data, *flags, code=ConfigError.exit_code)
    assert "the model was trained on Training, which chooses nothing. Fix: --split with another one" in result.stderr


@pytest.mark.parametrize(
    "flags",
    [
        ("--out", "net.safetensors"),
        ("--notes", "a.md"),
        ("--plots", "plots"),
        ("--recalibrate",),
        ("--logit-adjustment", "0.2"),
        ("--fp32",),
        ("--ten-crop",),
    ],
    ids=lambda flags: flags[0],
)
def test_a_flag_without_use_is_refused(best, data, flags):
    result = run("release", "--checkpoint", best, "--data", data, "--choices", *flags, code=ConfigError.exit_code)
    assert f"--choices writes nothing, and has no use for {flags[0]}. Fix: leave one or the other" in result.stderr


def test_released_weights_are_changed_already(best, data, tmp_path):
    for flag in (("--logit-adjustment", "0.2"), ("--recalibrate",)):
        out = tmp_path / "released.safetensors"
        release(best, data, out, *flag)
        result = run("release", "--checkpoint", out, "--data", data, "--choices", code=ConfigError.exit_code)
        assert "already. Fix: --checkpoint with final.safetensors of its run" in result.stderr


def test_without_it_a_file_must_be_named(best, data):
    result = run("release", "--checkpoint", best, "--data", data, code=ConfigError.exit_code)
    assert "--out is missing. Fix: --out NAME.safetensors; or --choices, which writes nothing" in result.stderr
