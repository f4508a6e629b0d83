"""Saved inputs with their logits: written, read, refused, and used by fer-deploy verify."""

import contextlib
import dataclasses
import io
import json
import re
import zipfile

import numpy as np
import pytest
from click.testing import CliRunner
from integration import plan_models

from fer_deploy.cli import main
from fer_deploy.errors import ArtifactError
from fer_deploy.export.verify.saved_io import SavedIO, io_from_bytes, read_io, write_io

RANDOM = np.random.default_rng(0)
SAVED = SavedIO(
    images_nchw=RANDOM.integers(0, 256, (5, 1, 48, 48), dtype=np.uint8),
    logits=RANDOM.normal(size=(5, 3)).astype(np.float32),
    labels=("bright", "dark", "even"),
    input=plan_models.INPUT,
    reference="PyTorch",
    faces="noise",
    has_people=False,
)


def run(*words):
    return CliRunner().invoke(main, [str(word) for word in words])


def changed(**arrays):
    """Return the content of a file with other arrays."""
    with np.load(io.BytesIO(SAVED.to_bytes())) as old:
        found = {name: old[name] for name in old.files}
    file = io.BytesIO()
    np.savez(file, **{name: value for name, value in {**found, **arrays}.items() if value is not None})
    return file.getvalue()


def about(**fields):
    with np.load(io.BytesIO(SAVED.to_bytes())) as old:
        return np.array(json.dumps(json.loads(str(old["about"])) | fields))


def test_everything_comes_back(tmp_path):
    write_io(tmp_path / "io.npz", SAVED)
    found = read_io(tmp_path / "io.npz")
    assert np.array_equal(found.images_nchw, SAVED.images_nchw)
    assert np.array_equal(found.logits, SAVED.logits)
    names = ("labels", "input", "reference", "faces", "has_people")
    assert all(getattr(found, name) == getattr(SAVED, name) for name in names)
    assert found.to_bytes() == SAVED.to_bytes() == (tmp_path / "io.npz").read_bytes()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "damaged, or no saved inputs"),
        (SAVED.to_bytes()[:500], "damaged, or no saved inputs"),
        (changed(logits=None), "it has images.npy, about.npy, expected images.npy, logits.npy, about.npy"),
        (changed(more=np.zeros(1)), "it has images.npy, logits.npy, about.npy, more.npy"),
        (changed(logits=np.array([{}])), "Object arrays cannot be loaded"),
        (changed(logits=SAVED.logits[:4]), "logits float32 (4, 3), expected uint8 (N, 1, 48, 48) and float32 (N, 3)"),
        (changed(logits=SAVED.logits.astype(np.float64)), "logits float64 (5, 3)"),
        (changed(images=SAVED.images_nchw[..., :40]), "images are uint8 (5, 1, 48, 40)"),
        (changed(images=SAVED.images_nchw[:0], logits=SAVED.logits[:0]), "images are uint8 (0, 1, 48, 48)"),
        (changed(logits=np.full((5, 3), np.nan, dtype=np.float32)), "a logit is not finite"),
        (changed(about=np.array("{")), "no saved inputs of this version"),
        (changed(about=about(format="fer-io-2")), "format: expected 'fer-io-1'"),
        (changed(about=about(more=1)), "more: Extra inputs are not permitted"),
    ],
)
def test_other_content_is_refused(content, message):
    with pytest.raises(ArtifactError, match=re.escape(message)) as caught:
        io_from_bytes(content, where="io.npz", fix="Fix: copy it again")
    assert str(caught.value).endswith("Fix: copy it again")


def test_a_changed_byte_is_found_or_changes_nothing():
    content = SAVED.to_bytes()
    for place in range(0, len(content), 7):
        changed_content = content[:place] + bytes([content[place] ^ 0x41]) + content[place + 1 :]
        with contextlib.suppress(ArtifactError):
            assert io_from_bytes(changed_content, where="io.npz", fix="Fix.").to_bytes() == content


def test_an_array_that_unpacks_to_too_much_is_not_unpacked():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as packed:
        for name in ("images.npy", "logits.npy", "about.npy"):
            with packed.open(name, "w", force_zip64=True) as member:
                for _ in range(257 if name == "images.npy" else 1):
                    member.write(bytes(2**20))
    assert len(file.getvalue()) < 2**20
    with pytest.raises(ArtifactError, match=r"an array has 269,484,032 bytes"):
        io_from_bytes(file.getvalue(), where="io.npz", fix="")


@pytest.mark.slow
def test_verify_saves_and_loads(tiny_export, tiny_release, tmp_path):
    fp32, fp16 = tiny_export.models
    saved = tmp_path / "io.npz"
    flags = ("--checkpoint", tiny_release, "--slice-faces", 0)
    first = run("verify", "--engine", fp32, *flags, "--save-io", saved)
    assert first.exit_code == 0, first.output
    assert f"{saved}: 162 inputs with the logits of PyTorch" in first.stderr
    direct = json.loads(run("verify", "--engine", fp16, *flags, "--json").stdout)
    loaded = run("verify", "--engine", fp16, "--load-io", saved, "--json")
    assert loaded.exit_code == 0, loaded.output
    assert json.loads(loaded.stdout) == direct


def test_a_broken_limit_ends_with_6(tiny_export, tiny_release, tmp_path):
    fp32, _ = tiny_export.models
    saved = tmp_path / "io.npz"
    run("verify", "--engine", fp32, "--checkpoint", tiny_release, "--slice-faces", 0, "--save-io", saved)
    found = read_io(saved)
    write_io(saved, dataclasses.replace(found, logits=found.logits + np.float32(0.01)))
    done = run("verify", "--engine", fp32, "--load-io", saved)
    assert done.exit_code == 6
    assert "abs_logit 1.00e-02 (allowed 0.001)" in done.stderr


def test_inputs_of_another_model_are_refused(tiny_onnx, tmp_path):
    write_io(tmp_path / "io.npz", SAVED)
    done = run("verify", "--engine", tiny_onnx, "--load-io", tmp_path / "io.npz")
    assert done.exit_code == 5
    assert f"{tiny_onnx} and {tmp_path / 'io.npz'} differ in labels or input: not one model" in done.stderr


@pytest.mark.parametrize("flag", ["--checkpoint", "--data", "--save-io", "--clip"])
def test_flags_that_contradict_saved_logits(tiny_onnx, tmp_path, flag):
    write_io(tmp_path / "io.npz", SAVED)
    done = run("verify", "--engine", tiny_onnx, "--load-io", tmp_path / "io.npz", flag, tmp_path / "other")
    assert done.exit_code == 2
    assert f"{flag} does not go with --load-io" in done.stderr
