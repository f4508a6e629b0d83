"""OpenVinoEngine: the same answers and the same refusals as ONNX Runtime's engine."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx
import pytest
from unit.fer_deploy.engines.openvino_mark import needs_openvino

from fer_deploy.artifacts import bundled_model
from fer_deploy.engines import open_engine
from fer_deploy.engines.threads import available_cores
from fer_deploy.errors import ArtifactError, ConfigError, EngineError, FerDeployError
from fer_deploy.live.sources.synthetic import SyntheticSource
from fer_deploy.spec import Precision

pytestmark = needs_openvino


@pytest.fixture(scope="module")
def faces() -> np.ndarray:
    """Return (64, 1, 48, 48) uint8 from drawn faces in many positions."""
    frames = []
    for frame in SyntheticSource().frames():
        frames.append(frame.frame_bgr[..., 1])
        if len(frames) == 16:
            break
    crops = [frame[y : y + 192 : 4, x : x + 192 : 4] for frame in frames for y in (20, 120) for x in (60, 320)]
    return np.stack(crops)[:, None]


def refusal(path: Path, device: str) -> str:
    with pytest.raises(FerDeployError) as caught:
        open_engine(path, device=device)
    return f"{type(caught.value).__name__}: {caught.value}"


def test_fp16_answers_as_in_onnxruntime(faces):
    """Both compute in FP32, and add in another order."""
    path = bundled_model(Precision.FP16)
    with open_engine(path, device="openvino", threads=1) as engine, open_engine(path, device="cpu") as reference:
        assert engine.spec == reference.spec
        found, wanted = engine.infer(faces), reference.infer(faces)
    np.testing.assert_allclose(found, wanted, atol=2e-3, rtol=0)  # 0.0008 on the 3,589 faces of PublicTest
    assert np.ptp(wanted, axis=0).max() > 1  # the faces differ


def test_int8_does_not_saturate(faces):
    """Compared with FP16: ONNX Runtime's INT8 sums saturate on x86 without VNNI unless it is asked for exact ones.

    Measured so on 898 faces of PublicTest: mean difference 0.016 in OpenVINO, 0.087 in ONNX Runtime.
    """
    with open_engine(bundled_model(Precision.INT8), device="openvino", threads=1) as engine:
        found = engine.infer(faces)
    with open_engine(bundled_model(Precision.FP16), device="cpu") as reference:
        wanted = reference.infer(faces)
    assert np.abs(found - wanted).mean() < 0.06
    assert (found.argmax(axis=1) == wanted.argmax(axis=1)).mean() > 0.9


def test_the_other_family_runs(faces):
    path = bundled_model(Precision.INT8, "fer2013")
    with open_engine(path, device="openvino", threads=1) as engine, open_engine(path, device="cpu") as reference:
        found, wanted = engine.infer(faces), reference.infer(faces)
    assert engine.spec.labels == reference.spec.labels
    assert np.abs(found - wanted).mean() < 0.4  # ONNX Runtime's sums may saturate, see above


def test_describes_the_runtime_and_the_precision_of_the_arithmetic(tiny_onnx):
    import openvino  # noqa: PLC0415 - after the engine's module, which keeps its telemetry silent

    with open_engine(bundled_model(Precision.FP16), device="openvino", threads=1) as engine:
        assert engine.description.startswith(
            f"OpenVINO {openvino.__version__.partition('-')[0]}, CPU, fp16, computed in "
        )
        assert engine.settings["inference_precision_hint"] == "f32"
        assert engine.settings["products"] == "30 in fp32"
    with open_engine(tiny_onnx, device="openvino") as engine:
        assert engine.description.endswith(", CPU, fp32")


@pytest.mark.parametrize("threads", [1, None])
def test_as_many_calls_at_once_as_the_cores_allow(tiny_onnx, threads):
    with open_engine(tiny_onnx, device="openvino", threads=threads) as engine:
        num_calls = available_cores() if threads == 1 else 1
        assert engine.settings["num_streams"] == str(num_calls)
        assert engine.settings["inference_num_threads"] == str(available_cores())


def test_too_many_threads(tiny_onnx):
    with pytest.raises(ConfigError, match="999 threads were requested"):
        open_engine(tiny_onnx, device="openvino", threads=999)


def test_calls_from_several_threads(tiny_onnx, faces):
    with open_engine(tiny_onnx, device="openvino", threads=1) as engine, ThreadPoolExecutor(4) as pool:
        assert engine.is_concurrent
        wanted = engine.infer(faces)
        batches = [faces[start : start + size] for start, size in ((0, 1), (3, 5), (8, 2), (0, 64)) for _ in range(8)]
        for batch, found in zip(batches, pool.map(engine.infer, batches), strict=True):
            start = next(i for i, face in enumerate(faces) if (face == batch[0]).all())
            np.testing.assert_allclose(found, wanted[start : start + len(batch)], atol=1e-4)


@pytest.mark.parametrize("share", [0.001, 0.3, 0.999999])
def test_truncated_files_are_refused_as_in_onnxruntime(tiny_onnx, tmp_path, share):
    content = tiny_onnx.read_bytes()
    path = tmp_path / "net.onnx"
    path.write_bytes(content[: max(1, int(len(content) * share))])
    assert refusal(path, "openvino") == refusal(path, "cpu")


def changed_model(tiny_onnx: Path, path: Path, change) -> Path:
    model = onnx.load(tiny_onnx)
    change(model)
    onnx.save(model, path)
    return path


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda model: model.ClearField("metadata_props"), id="no ModelSpec"),
        pytest.param(
            lambda model: model.graph.input[0].type.tensor_type.shape.dim[2].ClearField("dim_value"), id="size"
        ),
        pytest.param(lambda model: model.graph.node.add(op_type="Loop", name="loop"), id="unknown operator"),
        pytest.param(
            lambda model: model.graph.initializer[0].external_data.add(key="location", value="/etc/passwd"),
            id="weights elsewhere",
        ),
    ],
)
def test_other_graphs_are_refused_as_in_onnxruntime(tiny_onnx, tmp_path, change):
    path = changed_model(tiny_onnx, tmp_path / "net.onnx", change)
    assert refusal(path, "openvino") == refusal(path, "cpu")


def test_weights_that_are_not_finite(tiny_onnx, tmp_path):
    def spoil(model):
        weight = next(one for one in model.graph.initializer if one.data_type == onnx.TensorProto.FLOAT)
        weight.raw_data = np.full(onnx.numpy_helper.to_array(weight).shape, np.nan, dtype=np.float32).tobytes()

    path = changed_model(tiny_onnx, tmp_path / "net.onnx", spoil)
    assert "not finite" in refusal(path, "openvino")


def test_a_graph_that_openvino_does_not_know(tiny_onnx, monkeypatch):
    """Simulated: ONNX Runtime runs it and OpenVINO refuses it."""
    import openvino  # noqa: PLC0415 - see above

    def refuse(self, *args):
        raise RuntimeError("Exception from src/core.cpp:1:\nno such operator: Novel\n")

    monkeypatch.setattr(openvino.Core, "read_model", refuse)
    with pytest.raises(
        ArtifactError, match=r'OpenVINO .* cannot compile .*: no such operator: Novel\. Fix: device="cpu"'
    ):
        open_engine(tiny_onnx, device="openvino")


def test_a_batch_without_end(tiny_onnx, monkeypatch):
    """Simulated: the time is over before the first batch has ended."""
    import openvino  # noqa: PLC0415 - see above

    monkeypatch.setattr(openvino.InferRequest, "wait_for", lambda self, limit_ms: False)
    with pytest.raises(EngineError, match=r'a batch of 1 did not end within 60 s\. Fix: device="cpu"'):
        open_engine(tiny_onnx, device="openvino")


def test_closed(tiny_onnx, faces):
    engine = open_engine(tiny_onnx, device="openvino")
    engine.close()
    with pytest.raises(EngineError, match=r"OpenVINO .* is closed\. Fix: open it again"):
        engine.infer(faces)


def test_a_plan_does_not_run_in_openvino(tmp_path):
    path = tmp_path / "net.plan"
    path.write_bytes(b"ftrt" + bytes(100))
    with pytest.raises(EngineError, match="cuda"):
        open_engine(path, device="openvino")


def test_bfloat16_where_the_cpu_has_none(tiny_onnx, monkeypatch):
    from fer_deploy.engines.openvino import engine as module  # noqa: PLC0415 - imports OpenVINO

    monkeypatch.setattr(module.openvino.Core, "get_property", lambda self, device, name: ["FP32", "INT8"])
    with pytest.raises(EngineError, match=r"this CPU has no bfloat16 .*Fix: leave bf16 out"):
        module.OpenVinoEngine.open(tiny_onnx, bf16=True)


def test_its_telemetry_package_is_not_imported(tiny_onnx, tmp_path):
    """The package may be installed; here it is one that reports its import."""
    (tmp_path / "openvino_telemetry.py").write_text("print('imported')\n")
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "from fer_deploy.engines import open_engine\n"
        f"open_engine({str(tiny_onnx)!r}, device='openvino').close()\n"
        "assert 'openvino' in sys.modules and 'openvino_telemetry' not in sys.modules\n"
        "import openvino_telemetry\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "imported\n"), done.stderr  # once, by the last line
