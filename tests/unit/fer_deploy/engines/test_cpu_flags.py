from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from fer_deploy.engines.cpu_flags import adds_exactly, cpu_flags
from fer_deploy.engines.onnxruntime import session
from fer_deploy.engines.onnxruntime.session import SessionRequest, cpu_session

AVX512 = "avx2 fma avx512f avx512dq avx512bw avx512vl"


@pytest.mark.parametrize(
    ("flags", "is_exact"),
    [
        pytest.param("fpu avx2 fma", False, id="Zen 3, Haswell"),
        pytest.param(AVX512, False, id="Skylake-X"),
        pytest.param(f"{AVX512} avx512_vnni", True, id="Cascade Lake, Zen 4"),
        pytest.param(f"avx_vnni {AVX512} avx512_vnni", True, id="Zen 5"),
        pytest.param(f"avx_vnni {AVX512} avx512_vnni amx_tile amx_int8", True, id="Sapphire Rapids"),
        pytest.param("avx2 fma avx_vnni", True, id="Alder Lake"),
        pytest.param(f"avx_vnni {AVX512}", False, id="a virtual machine that hides avx512_vnni: AVX-512 is preferred"),
        pytest.param(f"{AVX512} amx_tile amx_int8", False, id="the same with AMX, which not every layer uses"),
        pytest.param("avx2 fma avx512_vnni", False, id="one that hides the rest of AVX-512"),
        pytest.param("", False, id="nothing"),
    ],
)
def test_the_instructions_that_onnxruntime_prefers_decide(tmp_path, flags, is_exact):
    path = tmp_path / "cpuinfo"
    path.write_text(f"processor : 0\nflags\t\t: {flags}\nbugs : none\n")
    assert cpu_flags(path) == frozenset(flags.split())
    assert adds_exactly(path) == is_exact


def test_arm_has_features(tmp_path):
    path = tmp_path / "cpuinfo"
    path.write_text("processor\t: 0\nBogoMIPS\t: 50.00\nFeatures\t: fp asimd asimddp\n")
    assert cpu_flags(path) == {"fp", "asimd", "asimddp"}
    assert not adds_exactly(path)  # ONNX Runtime ignores the option there


def test_the_first_core_speaks_for_all(tmp_path):
    path = tmp_path / "cpuinfo"
    path.write_text("flags : avx2 avx_vnni\n\nflags : avx2\n")
    assert cpu_flags(path) == {"avx2", "avx_vnni"}


def test_a_name_that_is_not_utf8_hides_no_flag(tmp_path):
    path = tmp_path / "cpuinfo"
    path.write_bytes(b"model name : \xff\xfe\nflags : avx2\n")
    assert cpu_flags(path) == {"avx2"}


def test_unknown_flags_are_not_trusted(tmp_path):
    assert cpu_flags(tmp_path / "absent") == frozenset()
    assert not adds_exactly(tmp_path / "absent")


@pytest.mark.parametrize("is_exact", [False, True])
def test_exact_sums_are_asked_for_where_the_cpu_needs_it_alone(monkeypatch, is_exact):
    """With VNNI the option takes two thirds of the speed and changes no logit."""
    monkeypatch.setattr(session, "adds_exactly", lambda: is_exact)
    options = session._session_options("cpu", 1, SessionRequest())
    assert options.get_session_config_entry("session.x64quantprecision") == str(int(not is_exact))


@pytest.mark.parametrize(("faces", "channels", "side"), [(1, 64, 1), (1, 64, 12), (33, 64, 12), (1, 3, 12)])
def test_int8_sums_do_not_overflow_on_this_cpu(tmp_path, faces, channels, side):
    """Pairs of 255 * 127 do not fit 16 bits: where they are added so, the answer is half of the right one."""
    opened = cpu_session(convolution(channels), SessionRequest(threads=1, profile=tmp_path / "profile"))
    images = np.full((faces, channels, side, side), 255, dtype=np.uint8)
    (found,) = opened.session.run(None, {"x": images})
    assert np.unique(found).tolist() == [200]
    assert "QLinearConv" in Path(opened.session.end_profiling()).read_text()  # it was computed in integers


def convolution(channels: int) -> bytes:
    """Return a U8S8 convolution as the export writes it; all weights are 127, and 200 is the answer to 255."""
    weights = np.full((16, channels, 1, 1), 127, dtype=np.int8)
    values = {
        "one": np.float32(1),
        "out_scale": np.float32(channels * 255 * 127 / 200),
        "u8": np.uint8(0),
        "s8": np.int8(0),
        "w": weights,
    }
    nodes = [
        helper.make_node("DequantizeLinear", ["x", "one", "u8"], ["real"]),
        helper.make_node("DequantizeLinear", ["w", "one", "s8"], ["weight"]),
        helper.make_node("Conv", ["real", "weight"], ["sum"]),
        helper.make_node("QuantizeLinear", ["sum", "out_scale", "u8"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "convolution",
        [helper.make_tensor_value_info("x", TensorProto.UINT8, ["n", channels, "h", "w"])],
        [helper.make_tensor_value_info("y", TensorProto.UINT8, ["n", 16, "h", "w"])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in values.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return model.SerializeToString()
