import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from unit.fer_train.cli.release_command.release_cases import release, save
from unit.fer_train.synthetic_faces import make_faces, tiny_config, write_csv

from fer_train.checkpoint import load_release, read_spec_json, save_release
from fer_train.data import read_faces, take_split
from fer_train.errors import ConfigError
from fer_train.evaluation.evaluate import measure, predict_logits
from fer_train.release.card import MARKER
from fer_train.spec import describe_model

pytestmark = pytest.mark.usefixtures("narrow_net")
CPU = torch.device("cpu")


def test_fp16_weights_carry_their_own_measures(best, data, tmp_path):
    out = tmp_path / "weights" / "net.safetensors"
    result = release(best, data, out)
    assert {t.dtype for t in load_file(out).values()} == {torch.float16, torch.int64}
    spec = json.loads(read_spec_json(out))
    assert set(spec["metrics"]) == {"PublicTest"}
    model, _ = load_release(out)
    public = take_split(read_faces(data), "PublicTest").resized(16)
    for view, flip in (("plain", False), ("flip", True)):
        logits = predict_logits(model, public.images, device=CPU, flip=flip)
        measured = measure(logits / np.float32(spec["temperature"]), public.labels).to_dict()
        written = spec["metrics"]["PublicTest"][view]
        assert written["confusion"] == measured["confusion"]
        assert written["loss"] == pytest.approx(measured["loss"], abs=1e-5)
        assert written["clean"]["num_faces"] == 19
        assert f"{measured['accuracy']:.2%} {view} official" in result.stdout
    assert f"{out}: {out.stat().st_size / 1e6:.2f} MB, float16; model card: {out.with_suffix('.md')}" in result.stdout


@pytest.mark.slow
def test_card_stands_beside_the_weights_and_tells_what_release_saw(data, model, tmp_path, faces):
    clean = read_faces(data)
    clean = clean.select(~((clean.splits == "Training") & (clean.rows < 10)))
    best = save(tmp_path, model, clean, protocol="clean")
    (tmp_path / "words.md").write_text("Seen on a dim clip.\n")
    release(best, data, tmp_path / "net.safetensors", "--notes", tmp_path / "words.md")
    card = (tmp_path / "net.md").read_text()
    assert card.startswith(MARKER)
    assert "64 rows of Training, 10 were left out: 2 twins found by pixel hash, 8 by lists" in card
    assert "| PublicTest | flip | clean | 19 |" in card
    assert card.endswith("## Notes\n\nSeen on a dim clip.\n")
    assert f"torch {torch.__version__}" in card
    release(best, data, tmp_path / "net.safetensors")  # a card of its own making may be replaced
    assert "Notes" not in (tmp_path / "net.md").read_text()


def test_other_data_than_the_runs_tell_nothing_of_rows_left_out(best, tmp_path, faces):
    other = write_csv(tmp_path / "other.csv", make_faces(seed=4))
    release(best, other, tmp_path / "net.safetensors")
    assert "left out" not in (tmp_path / "net.md").read_text()
    assert "data_rows" not in json.loads(read_spec_json(tmp_path / "net.safetensors"))["provenance"]


def test_fp32_keeps_the_weights_as_they_are(best, data, tmp_path, model):
    release(best, data, tmp_path / "net.safetensors", "--fp32")
    released, _ = load_release(tmp_path / "net.safetensors")
    assert all(torch.equal(a, b) for a, b in zip(released.parameters(), model.parameters(), strict=True))
    assert "float32" in (tmp_path / "net.md").read_text()


def test_weights_that_fp16_cannot_hold_are_refused(data, model, tmp_path):
    with torch.no_grad():
        model.classifier.bias[3] = 70000.0
    best = save(tmp_path, model, read_faces(data))
    result = release(best, data, tmp_path / "net.safetensors", code=4)
    assert "classifier.bias reaches 7e+04, fp16 ends at 65,504. Fix: --fp32" in result.stderr
    assert not (tmp_path / "net.safetensors").exists()
    release(best, data, tmp_path / "net.safetensors", "--fp32")


def test_weights_that_are_no_numbers_are_refused(data, model, tmp_path):
    with torch.no_grad():
        model.classifier.bias[3] = torch.nan
    best = save(tmp_path, model, read_faces(data))
    result = release(best, data, tmp_path / "net.safetensors", code=4)
    assert "classifier.bias holds 1 of 7 values that are not finite. Fix: another checkpoint" in result.stderr


def test_many_batches_seen_are_no_reason_to_refuse(data, model, tmp_path):
    for name, buffer in model.named_buffers():
        if name.endswith("num_batches_tracked"):
            buffer.fill_(200_000)
    release(save(tmp_path, model, read_faces(data)), data, tmp_path / "net.safetensors")
    assert (tmp_path / "net.safetensors").exists()


def test_recalibrated_statistics_are_those_of_the_training_rows(best, data, tmp_path, model):
    names = [name for name in model.state_dict() if name.endswith("running_mean")]
    assert names
    release(best, data, tmp_path / "net.safetensors", "--recalibrate")
    released, spec = load_release(tmp_path / "net.safetensors")
    assert spec["provenance"]["recalibrated_on"] == 64
    for name in names:
        assert not model.state_dict()[name].any()
        assert released.state_dict()[name].any()
    assert "--recalibrate" in (tmp_path / "net.md").read_text()


def test_lists_of_the_recalibration_are_recorded_and_named_in_the_card(best, data, tmp_path):
    (tmp_path / "twins.txt").write_text("1\n2\n")
    (tmp_path / "bad.csv").write_text("row\n2\n3\n")
    release(
        best,
        data,
        tmp_path / "net.safetensors",
        "--recalibrate",
        "--twin-rows",
        tmp_path / "twins.txt",
        "--exclude",
        tmp_path / "bad.csv",
    )
    provenance = json.loads(read_spec_json(tmp_path / "net.safetensors"))["provenance"]
    # The run's protocol is official, to which twins mean nothing.
    assert [row["file"] for row in provenance["recalibrated_row_lists"]] == ["bad.csv"]
    assert provenance["recalibrated_on"] == 62
    assert "--recalibrate --exclude bad.csv --out net.safetensors" in (tmp_path / "net.md").read_text()


def test_adjusted_logits_are_recorded_and_named_in_the_card(best, data, tmp_path, model):
    release(best, data, tmp_path / "net.safetensors", "--fp32", "--logit-adjustment", "0.3")
    released, spec = load_release(tmp_path / "net.safetensors")
    adjusted = spec["provenance"]["logit_adjustment"]
    assert adjusted["strength"] == 0.3
    shift = 0.3 * np.log(adjusted["priors"])
    expected = model.classifier.bias.detach().numpy() - (shift - shift.mean())
    assert released.classifier.bias.detach().numpy() == pytest.approx(expected, abs=1e-5)
    card = (tmp_path / "net.md").read_text()
    assert "--data fer2013.csv --logit-adjustment 0.3 --fp32 --out net.safetensors" in card
    assert "Logits are adjusted by 0.3 of the log prior of each class" in card


@pytest.mark.slow
def test_several_splits_and_pictures(best, tmp_path):
    data = write_csv(tmp_path / "all.csv", make_faces(Training=64, PublicTest=21, PrivateTest=14))
    result = release(
        best,
        data,
        tmp_path / "net.safetensors",
        "--split",
        "PublicTest",
        "--split",
        "PrivateTest",
        "--plots",
        tmp_path / "plots",
    )
    assert set(json.loads(read_spec_json(tmp_path / "net.safetensors"))["metrics"]) == {"PublicTest", "PrivateTest"}
    assert "PrivateTest is for one final measurement" in result.stderr
    assert len(list((tmp_path / "plots").glob("Pr*.png"))) == len(list((tmp_path / "plots").glob("Pu*.png"))) == 3


def test_a_persons_card_and_notes_are_never_overwritten(best, data, tmp_path):
    (tmp_path / "net.md").write_text("# written by a person\n")
    result = release(best, data, tmp_path / "net.safetensors", code=2)
    assert "was not written by fer-train release. Fix: move it away" in result.stderr
    (tmp_path / "net.md").write_text(MARKER)
    result = release(best, data, tmp_path / "net.safetensors", "--notes", tmp_path / "net.md", code=2)
    assert "is the model card itself and would be overwritten" in result.stderr
    result = release(best, data, tmp_path / "net.safetensors", "--notes", tmp_path / "absent.md", code=2)
    assert "cannot read --notes" in result.stderr
    assert not (tmp_path / "net.safetensors").exists()


def test_recalibration_that_would_leave_the_learned_ranges_is_refused(data, model, tmp_path, faces):
    spec = describe_model(tiny_config(), faces, {}, quantization={"classifier": 1.0})
    save_release(tmp_path / "qat.safetensors", model, spec)
    result = release(tmp_path / "qat.safetensors", data, tmp_path / "out.safetensors", "--recalibrate", code=2)
    assert "would not fit its activation ranges. Fix: leave --recalibrate out" in result.output
    assert not (tmp_path / "out.safetensors").exists()


def test_the_checkpoint_is_not_overwritten(best, data):
    before = best.read_bytes()
    result = release(best, data, best, code=2)
    assert f"error: --out {best} is the checkpoint itself and would be overwritten. Fix: another file" in result.stderr
    assert best.read_bytes() == before


def test_a_training_state_is_told_from_a_damaged_file(tmp_path, data):
    (tmp_path / "last.pt").write_bytes(b"a state")
    result = release(tmp_path / "last.pt", data, tmp_path / "net.safetensors", code=4)
    assert "last.pt is a training state, for --resume" in result.stderr
    assert f"Fix: {tmp_path / 'final.safetensors'}, or best.safetensors beside it" in result.stderr


def test_out_of_memory(best, data, tmp_path, monkeypatch):
    def full(*_, **__):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.")

    monkeypatch.setattr("fer_train.release.measures.evaluate_split", full)
    result = release(best, data, tmp_path / "net.safetensors", code=10)
    assert "error: out of memory: CUDA out of memory. Tried to allocate 2 GiB.. Fix: --device cpu" in result.stderr


def test_logits_are_adjusted_once(best, data, tmp_path):
    once, twice = tmp_path / "once.safetensors", tmp_path / "twice.safetensors"
    release(best, data, once, "--logit-adjustment", "0.2")
    result = release(once, data, twice, "--logit-adjustment", "0.1", code=ConfigError.exit_code)
    assert "are adjusted by 0.2 already. Fix: --checkpoint with final.safetensors of its run" in result.stderr
    assert not twice.exists()
