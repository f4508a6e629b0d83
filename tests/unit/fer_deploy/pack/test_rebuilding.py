"""A pack becomes a folder of verified models and plans, without PyTorch; what differs is not written."""

import io
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from unit.fer_deploy.pack.pack_models import NAMES

from fer_deploy.errors import ArtifactError, ConfigError, EngineError, VerificationError
from fer_deploy.export.config import DEFAULT_LIMITS
from fer_deploy.export.variants import Variant
from fer_deploy.export.verify.saved_io import io_from_bytes
from fer_deploy.flavors import Flavor
from fer_deploy.manifest import read_manifest
from fer_deploy.pack import rebuilding
from fer_deploy.pack.archive import read_pack, write_pack
from fer_deploy.pack.rebuilding import RebuildConfig, rebuild
from fer_deploy.pack.recipe import limits_of

PLANS = {"tiny-fp32-rtx.plan", "tiny-fp16-rtx.plan", "tiny-int8-rtx.plan"}
WITHOUT_TORCH = """
import sys

class Absent:
    names = {names}

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in self.names:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
sys.path.insert(0, {tests})
from integration.docs_blocks.server import shorten_bench
shorten_bench()
from fer_deploy.cli import main
main()
"""
TESTS = Path(__file__).parents[3]


NOT_NEEDED = (
    "torch",
    "torchvision",
    "sklearn",
    "scipy",
    "matplotlib",
    "fer_train",
    "onnxscript",
    "safetensors",
    "onnxconverter_common",
    "sympy",
)


def without_torch(*words, names=NOT_NEEDED):
    """Run fer-deploy where no package of training or export can be imported."""
    code = WITHOUT_TORCH.replace("{names}", repr(names)).replace("{tests}", repr(str(TESTS)))
    command = [sys.executable, "-c", code, *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)


def repacked(packed, path, changes):
    """Write a pack of other members with right digests."""
    old = read_pack(packed)
    members = {name: old.read(name) for name in old.manifest.members} | changes
    write_pack(path, members, {"tool_version": "0", "model": "tiny", "has_people": False})
    return path


def with_other_classifier(content):
    model = onnx.ModelProto.FromString(content)
    weight = next(one for one in model.graph.initializer if one.name == "classifier.weight")
    weight.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weight)[::-1].copy(), weight.name))
    return model.SerializeToString()


@pytest.fixture(scope="module")
def done(packed, tmp_path_factory):
    out = tmp_path_factory.mktemp("rebuilt") / "tiny"
    return rebuild(RebuildConfig(pack=packed, out=out, flavor=Flavor.TENSORRT_RTX))


def test_every_model_is_verified_and_every_plan_is_built(done):
    rows = {row.name: row for row in done.rows}
    assert set(rows) == {*NAMES, *PLANS}
    assert done.failure is None
    for name in NAMES:
        found = rows[name].comparison
        assert (found.num_faces, found.breaches, rows[name].built) == (64, (), "pack")
        assert rows[name].packed_difference == found.max_abs_logit  # the same machine
    assert rows["tiny-int8.onnx"].comparison.max_abs_logit > rows["tiny-fp16.onnx"].comparison.max_abs_logit > 0


def test_the_plans_are_those_of_the_pack(done):
    for name in PLANS:
        manifest = read_manifest(done.folder / name)
        assert manifest.flavor is Flavor.TENSORRT_RTX
        assert manifest.source_onnx == name.replace("-rtx.plan", ".onnx")
        assert manifest.spec.precision.value in name
        assert manifest.precision_proof.source == "plan"


def test_a_plan_that_cannot_run_here_says_why(done):
    if any(row.comparison is not None for row in done.rows if row.is_plan):
        pytest.skip("this machine has a GPU that runs the plan")
    assert all("this machine has" in row.reason for row in done.rows if row.is_plan)


def test_the_record_is_beside_them(done, packed):
    record = json.loads((done.folder / "rebuild.json").read_text())
    assert record["pack_sha256"] == read_pack(packed).sha256
    assert {entry["name"] for entry in record["artifacts"]} == {*NAMES, *PLANS}
    assert record["machine"]["packages"]["onnx"] == onnx.__version__
    assert str(done.folder.parent) not in json.dumps(record)


def test_a_model_with_other_logits_is_not_written(packed, tmp_path):
    wrong = with_other_classifier(read_pack(packed).read("tiny-fp16.onnx"))
    pack = repacked(packed, tmp_path / "wrong.ferpack", {"tiny-fp16.onnx": wrong})
    done = rebuild(RebuildConfig(pack=pack, out=tmp_path / "out", flavor=Flavor.TENSORRT_RTX))
    assert isinstance(done.failure, VerificationError)
    assert str(done.failure).startswith("tiny-fp16.onnx differs from ONNX Runtime")
    assert "It was not written" in str(done.failure)
    written = {path.name for path in (tmp_path / "out").iterdir()}
    assert "tiny-fp16.onnx" not in written
    assert {"tiny-fp32.onnx", "tiny-int8.onnx", "tiny-fp32-rtx.plan"} <= written
    assert {"tiny-fp16-rtx.plan", "tiny-fp16-rtx.plan.json"}.isdisjoint(written)
    (row,) = [row for row in done.rows if row.name == "tiny-fp16-rtx.plan"]
    assert (row.reason, row.is_written) == ("tiny-fp16.onnx fails here, and a plan of it would, too", False)


def test_int8_may_differ_twice_as_much_as_on_the_machine_that_packed_it(packed, tmp_path):
    recipe = json.loads(read_pack(packed).read("recipe.json"))
    packed_as = recipe["models"]["tiny-int8.onnx"]["at_packing"]
    int8 = limits_of(recipe, "tiny-int8.onnx", Variant.INT8)
    assert int8.max_abs_logit == max(0.1, 2 * packed_as["max_abs_logit"])
    assert limits_of(recipe, "tiny-fp16.onnx", Variant.FP16) == DEFAULT_LIMITS[Variant.FP16]
    assert limits_of({}, "tiny-int8.onnx", Variant.INT8) == DEFAULT_LIMITS[Variant.INT8]
    packed_as["max_abs_logit"] = 0.4
    assert limits_of(recipe, "tiny-int8.onnx", Variant.INT8).max_abs_logit == 0.8


def test_an_int8_model_that_differs_more_fails_with_its_plan(packed, tmp_path):
    model = onnx.ModelProto.FromString(read_pack(packed).read("tiny-int8.onnx"))
    (scale,) = [one for one in model.graph.initializer if one.name == "classifier.bias"]
    values = numpy_helper.to_array(scale) + np.float32(0.5)
    scale.CopyFrom(numpy_helper.from_array(values, scale.name))
    pack = repacked(packed, tmp_path / "wrong.ferpack", {"tiny-int8.onnx": model.SerializeToString()})
    done = rebuild(RebuildConfig(pack=pack, out=tmp_path / "out", flavor=Flavor.TENSORRT_RTX))
    rows = {row.name: row for row in done.rows}
    assert rows["tiny-int8.onnx"].comparison.breaches
    assert "abs_logit" in rows["tiny-int8.onnx"].comparison.breaches[0]
    assert not rows["tiny-int8-rtx.plan"].is_written


def test_another_model_is_not_compared(packed, tmp_path):
    old = io_from_bytes(read_pack(packed).read("io.npz"), where="io", fix="")
    renamed = type(old)(**{**vars(old), "labels": ("a", "b", "c")})
    pack = repacked(packed, tmp_path / "other.ferpack", {"io.npz": renamed.to_bytes()})
    done = rebuild(RebuildConfig(pack=pack, out=tmp_path / "out", flavor=Flavor.TENSORRT_RTX))
    assert isinstance(done.failure, EngineError)
    assert "differ in labels or input: not one model" in str(done.failure)


def test_a_damaged_pack_writes_nothing(packed, tmp_path):
    content = bytearray(packed.read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "bad.ferpack").write_bytes(content)
    with pytest.raises(ArtifactError, match=r"in .*bad.ferpack"):
        rebuild(RebuildConfig(pack=tmp_path / "bad.ferpack", out=tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_saved_inputs_that_are_no_arrays_are_refused(packed, tmp_path):
    file = io.BytesIO()
    np.savez(file, images=np.array([object()]), logits=np.zeros(1), about=np.array("{}"))
    pack = repacked(packed, tmp_path / "pickled.ferpack", {"io.npz": file.getvalue()})
    with pytest.raises(ArtifactError, match=r"cannot read io.npz in .*: damaged, or no saved inputs \(Object arrays"):
        rebuild(RebuildConfig(pack=pack, out=tmp_path / "out"))


def test_the_folder_is_new_or_of_the_same_pack(packed, done, tmp_path):
    (tmp_path / "photo.jpg").write_bytes(b"mine")
    with pytest.raises(ConfigError, match=r"is not empty and holds no rebuild of this pack.* Fix: another --out"):
        rebuild(RebuildConfig(pack=packed, out=tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["photo.jpg"]


def test_again_without_a_builder_removes_the_old_plans(packed, done, tmp_path, monkeypatch):
    out = shutil.copytree(done.folder, tmp_path / "tiny")
    (out / "best.json").write_text("of the old plans")
    monkeypatch.setattr(rebuilding, "_why_not", lambda flavor: "no builder")
    again = rebuild(RebuildConfig(pack=packed, out=out))
    assert [(row.name, row.built, row.reason) for row in again.rows if row.is_plan] == [
        ("TRT plans", "", "no builder"),
        ("RTX plans", "", "no builder"),
    ]
    assert {path.name for path in out.iterdir()} == {path.name for path in done.folder.iterdir()} - PLANS - {
        f"{name}.json" for name in PLANS
    }


@pytest.mark.slow
def test_without_torch_in_one_command(packed, tmp_path):
    out = tmp_path / "tiny"
    words = ("rebuild", packed, "--out", out, "--flavor", "tensorrt-rtx", "--no-bench")
    ended = without_torch(*words)
    assert ended.returncode == 0, ended.stderr
    lines = ended.stdout.splitlines()
    assert lines[0].startswith("tiny, files tiny-*: compared with ONNX Runtime")
    rows = {line.split()[0]: line.split() for line in lines if line}
    assert rows["fp32.onnx"][1:3] == ["pack", "holds"]
    assert rows["fp16-rtx.plan"][1] == "RTX"
    assert max(len(line.rstrip()) for line in lines if line.startswith(("artifact", "fp", "int8", "TRT"))) <= 80
    assert {path.name for path in out.iterdir()} >= {*NAMES, *PLANS, "io.npz", "recipe.json", "rebuild.json"}
    checked = without_torch("verify", "--engine", out / "tiny-int8.onnx", "--load-io", out / "io.npz")
    assert (checked.returncode, checked.stderr.count("error")) == (0, 0), checked.stderr
    assert "on 64 faces" in checked.stdout


@pytest.mark.parametrize(
    "words",
    [
        ("rebuild", "a.ferpack", "--out", "a"),
        ("pack", "a", "--out", "a.ferpack"),
        ("verify", "--engine", "a.onnx", "--load-io", "a.npz"),
    ],
    ids=lambda words: words[0],
)
def test_the_error_for_an_absent_onnx_names_the_extra(words):
    ended = without_torch(*words, names=(*NOT_NEEDED, "onnx"))
    assert ended.returncode == 3
    assert "needs onnx, which is not installed. Fix: pip install 'fer-toolchain[cpu,rebuild]'" in ended.stderr


@pytest.mark.slow
def test_a_broken_limit_is_exit_code_6(packed, tmp_path):
    wrong = with_other_classifier(read_pack(packed).read("tiny-fp16.onnx"))
    pack = repacked(packed, tmp_path / "wrong.ferpack", {"tiny-fp16.onnx": wrong})
    ended = without_torch("rebuild", pack, "--out", tmp_path / "o", "--flavor", "tensorrt-rtx", "--no-bench", "--json")
    assert ended.returncode == 6
    assert "error: tiny-fp16.onnx differs from" in ended.stderr
    found = {entry["name"]: entry for entry in json.loads(ended.stdout)["artifacts"]}
    assert (found["tiny-fp16.onnx"]["written"], found["tiny-fp32.onnx"]["written"]) == (False, True)


def test_where_nothing_is_written_the_table_and_the_broken_limit_are_shown(packed, tmp_path):
    models = [read_pack(packed).read(name) for name in NAMES]
    wrong = {name: with_other_classifier(content) for name, content in zip(NAMES, models, strict=True)}
    pack = repacked(packed, tmp_path / "wrong.ferpack", wrong)
    code = "import sys; sys.modules.update(tensorrt=None, tensorrt_rtx=None); from fer_deploy.cli import main; main()"
    command = [sys.executable, "-c", code, "rebuild", str(pack), "--out", str(tmp_path / "o"), "--quick"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert (ended.returncode, "error: tiny-fp32.onnx differs from" in ended.stderr) == (6, True), ended.stderr
    rows = {line.split()[0]: line.split() for line in ended.stdout.splitlines() if line}
    assert rows["fp32.onnx"][1:3] == ["pack", "FAILS"]
    record = json.loads((tmp_path / "o" / "rebuild.json").read_text())
    assert [entry["name"] for entry in record["artifacts"] if entry["written"]] == []


@pytest.mark.parametrize("recipe", [b"[]", b"{", b"[" * 100_000], ids=["list", "cut", "nested"])
def test_a_recipe_that_cannot_be_read(packed, tmp_path, recipe):
    pack = repacked(packed, tmp_path / "wrong.ferpack", {"recipe.json": recipe})
    with pytest.raises(
        ArtifactError, match=r"recipe.json in .* is not one that this version reads .*Fix: make the pack"
    ):
        rebuild(RebuildConfig(pack=pack, out=tmp_path / "out"))


@pytest.mark.slow
def test_the_folder_is_measured_and_opens_with_its_best_model(packed, tmp_path):
    out = tmp_path / "tiny"
    ended = without_torch("rebuild", packed, "--out", out, "--flavor", "tensorrt-rtx", "--quick")
    assert ended.returncode == 0, ended.stderr
    row = next(line.split() for line in ended.stdout.splitlines() if line.startswith("fp32.onnx"))
    assert float(row[-2]) > 0
    assert int(row[-1].replace(",", "")) > 0
    assert f"written: {out}, with best.json" in ended.stdout
    int8 = next(line.split() for line in ended.stdout.splitlines() if line.startswith("int8.onnx"))
    assert f"\n{int8[-1]} it is the INT8 graph for TensorRT" in ended.stdout
    assert json.loads((out / "best.json").read_text())["uses"]
