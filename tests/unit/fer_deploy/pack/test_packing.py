"""What a pack is made of, and which folders are refused."""

import io
import json
import shutil
import zipfile

import numpy as np
import onnx
import pytest
from integration import plan_models
from integration.export_models import write_faces
from onnx import numpy_helper
from unit.fer_deploy.pack.pack_models import NAMES, write_report

from fer_deploy.errors import ArtifactError, ConfigError, VerificationError
from fer_deploy.export.verify.saved_io import io_from_bytes
from fer_deploy.pack.archive import read_pack
from fer_deploy.pack.inputs import chosen
from fer_deploy.pack.packing import PackConfig, pack


@pytest.fixture
def folder(exported, tmp_path):
    """A copy to damage."""
    return shutil.copytree(exported, tmp_path / "tiny")


def packed_from(folder):
    return pack(PackConfig(folder=folder, out=folder.parent / "new.ferpack"))


def test_models_recipe_report_and_inputs_are_in_it(packed, exported):
    found = read_pack(packed)
    assert found.manifest.models == list(NAMES)
    for name in (*NAMES, "report.json"):
        assert found.read(name) == (exported / name).read_bytes()
    saved = io_from_bytes(found.read("io.npz"), where="io", fix="")
    assert saved.images_nchw.shape == (64, 1, 48, 48)
    assert saved.logits.shape == (64, 3)
    assert saved.reference.startswith("ONNX Runtime")
    assert (saved.faces, saved.has_people, found.manifest.has_people) == ("drawn faces", False, False)


def test_the_recipe_has_the_calibrated_ranges(packed):
    recipe = json.loads(read_pack(packed).read("recipe.json"))
    made = recipe["models"]["tiny-int8.onnx"]
    assert made["calibration"] == {"method": "percentile", "num_faces": 8}
    low, high = made["ranges"]["scaled"]  # the input of the first convolution: pixels of -2 to 2
    assert low == pytest.approx(-128 / 127 * high)
    assert 1.9 < high <= 2.1
    assert not any(name.endswith("weight") for name in made["ranges"])
    assert "ranges" not in recipe["models"]["tiny-fp16.onnx"]
    assert recipe["models"]["tiny-fp16.onnx"]["at_packing"]["agreement"] == 1.0


def test_the_same_export_gives_the_same_bytes(packed, exported, tmp_path):
    pack(PackConfig(folder=exported, out=tmp_path / "again.ferpack"))
    assert (tmp_path / "again.ferpack").read_bytes() == packed.read_bytes()


def test_nothing_tells_the_machine_or_its_folders(packed, exported):
    with zipfile.ZipFile(io.BytesIO(packed.read_bytes())) as members:
        for name in members.namelist():
            assert str(exported.parent).encode() not in members.read(name), name


def test_a_model_that_breaks_its_limit_is_not_packed(folder):
    model = onnx.load(folder / "tiny-fp16.onnx")
    weight = next(one for one in model.graph.initializer if one.name == "classifier.weight")
    weight.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weight)[::-1].copy(), weight.name))
    onnx.save(model, folder / "tiny-fp16.onnx")
    write_report(folder, NAMES)
    with pytest.raises(VerificationError, match=r"tiny-fp16.onnx .* differs from ONNX Runtime .* on 64 faces"):
        packed_from(folder)
    assert not (folder.parent / "new.ferpack").exists()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (
            lambda f: (f / "report.json").unlink(),
            "is no export: it has no report.json. Fix: the folder that",
        ),
        (lambda f: (f / "report.json").write_text("{"), "is no report of an export that this version reads"),
        (lambda f: (f / "tiny-fp16.onnx").unlink(), "is incomplete: tiny-fp16.onnx is missing"),
        (lambda f: write_report(f, NAMES[1:]), "has no FP32 model, .* Fix: export again with --variant fp32 added"),
        (lambda f: onnx.save(plan_models.fp32_model(), f / "tiny-fp16.onnx"), "is not the file that was exported: its"),
        (lambda f: (f / "tiny-int8.onnx").write_bytes(b"no"), "truncated, or not an ONNX model"),
        (shutil.rmtree, "no folder .*tiny. Fix: the folder that fer-deploy export --out wrote"),
    ],
)
def test_a_damaged_export_is_refused(folder, damage, message):
    damage(folder)
    with pytest.raises(ArtifactError, match=message):
        packed_from(folder)


def test_the_name_has_the_suffix(exported, tmp_path):
    with pytest.raises(ConfigError, match=r"net\.zip must end in \.ferpack") as caught:
        pack(PackConfig(folder=exported, out=tmp_path / "net.zip"))
    assert str(caught.value).endswith(f"Fix: --out {tmp_path / 'net.ferpack'}")


def test_another_checkpoint_is_refused(exported, tiny_release, tmp_path):
    with pytest.raises(ArtifactError, match=r"net.safetensors is not the checkpoint that .*tiny was exported from"):
        pack(PackConfig(folder=exported, out=tmp_path / "net.ferpack", checkpoint=tiny_release))


@pytest.mark.slow
def test_real_faces_and_pytorch_only_when_they_are_asked_for(tiny_export, tiny_release, tmp_path):
    data = write_faces(tmp_path / "fer2013.csv", {"Training": 7, "PublicTest": 84})
    out = tmp_path / "net.ferpack"
    done = pack(PackConfig(folder=tiny_export.onnx.parent, out=out, checkpoint=tiny_release, data=data))
    assert done.note.startswith("the pack holds 64 faces of real people from fer2013.csv: personal data")
    assert done.reference.startswith("PyTorch")
    found = read_pack(out)
    saved = io_from_bytes(found.read("io.npz"), where="io", fix="")
    assert (saved.has_people, found.manifest.has_people, len(saved.logits)) == (True, True, 64)
    assert saved.faces.startswith("PublicTest of fer2013.csv")
    drawn = pack(PackConfig(folder=tiny_export.onnx.parent, out=out))
    assert (drawn.note, drawn.manifest.has_people) == ("", False)


def test_close_answers_of_every_emotion_are_chosen_but_no_ties():
    logits = np.zeros((9, 3), dtype=np.float32)
    leads = [1e-6, 0.5, 3.0, 1e-6, 0.6, 4.0, 0.7, 0.8, 0.9]
    labels = [0, 0, 0, 1, 1, 1, 2, 2, 2]
    logits[np.arange(9), labels] = leads
    assert chosen(logits, 3).tolist() == [1, 4, 6]
    assert chosen(logits, 7).tolist() == [1, 2, 4, 5, 6, 7, 8]  # everything but the two ties
    assert chosen(logits, 20).tolist() == list(range(9))
