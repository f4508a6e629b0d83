"""What TensorRTEngine refuses before a byte is deserialized, and what it says."""

import pytest
from unit.fer_deploy.engines.simulated_cuda import cudaError_t
from unit.fer_deploy.engines.tensorrt.plan_files import CONTENT, manifest_of, rtx_manifest, write_plan

from fer_deploy.engines import open_engine
from fer_deploy.errors import ArtifactError, ConfigError, EngineError, MissingDependencyError
from fer_deploy.manifest import manifest_path

WORD = "TensorRT 11.4.0.106"


class TestRefusedUnseen:
    """Each of these raises before TensorRT sees a byte."""

    @pytest.fixture(autouse=True)
    def nothing_was_deserialized(self, machine):
        yield
        assert machine.trt.loaded == []
        assert machine.cudart.num_live == 0

    @pytest.mark.parametrize(
        ("changes", "text"),
        [
            ({"version": "10.3.0"}, f"built with TensorRT 10.3.0; this machine has {WORD}."),
            ({"version": "11.4.0.107"}, f"built with TensorRT 11.4.0.107; this machine has {WORD}."),
            ({"target": {"compute_capabilities": ["9.0"]}}, "built for sm_90; this machine has sm_86."),
            ({"target": {"gpu": "NVIDIA A10"}}, "built for NVIDIA A10; this machine has Simulated 3090."),
            ({"target": {"os": "windows"}}, "built on windows x86_64; this machine has linux x86_64."),
            ({"target": {"machine": "aarch64"}}, "built on linux aarch64; this machine has linux x86_64."),
            (
                {"version": "10.3.0", "target": {"compute_capabilities": ["8.9", "9.0"]}},
                f"built with TensorRT 10.3.0 for sm_89, sm_90; this machine has {WORD} and sm_86.",
            ),
        ],
    )
    def test_another_machine(self, machine, changes, text):
        with pytest.raises(EngineError) as caught:
            machine.open(manifest_of(**changes))
        folder = machine.folder
        assert str(caught.value) == (
            f"cannot load {folder}/net-int8.plan: {text}\n"
            f"    Fix: fer-deploy build --onnx {folder}/net-int8.onnx --out {folder}/net-int8.plan"
        )

    def test_another_flavor(self, machine):
        with pytest.raises(MissingDependencyError) as caught:
            machine.open(rtx_manifest())
        assert f"built with TensorRT for RTX 1.7.1.116; this machine has {WORD}." in str(caught.value)
        folder = machine.folder
        assert str(caught.value).endswith(
            "Fix: pip install 'fer-toolchain[tensorrt-rtx]', or "
            f"fer-deploy build --onnx {folder}/net-int8.onnx --out {folder}/net-int8.plan"
        )

    def test_no_tensorrt(self, machine):
        machine.versions = {}
        with pytest.raises(
            MissingDependencyError, match=r"this machine has no TensorRT\.\n    Fix: pip install .*rt\]'"
        ):
            machine.open()

    def test_no_gpu(self, machine):
        machine.cudart.fail["cudaSetDevice"] = (cudaError_t.cudaErrorInsufficientDriver, 0)
        with pytest.raises(EngineError) as caught:
            machine.open()
        text = str(caught.value)
        assert "built for sm_86; this machine has no NVIDIA GPU.\n    Fix: run it where nvidia-smi lists a GPU" in text
        assert "cudaSetDevice failed: cudaErrorInsufficientDriver" in text

    @pytest.mark.parametrize("position", [0, len(CONTENT) // 2, -1])
    @pytest.mark.parametrize("device", ["auto", "cuda"])
    def test_a_flipped_bit(self, machine, position, device):
        changed = bytearray(CONTENT)
        changed[position] ^= 1
        path = write_plan(machine.folder, content=bytes(changed), manifest=manifest_of())
        with pytest.raises(ArtifactError, match=r"its SHA-256 is [0-9a-f]{64}, expected [0-9a-f]{64}, so it is not"):
            open_engine(path, device=device)

    @pytest.mark.parametrize("content", [CONTENT[:-1], CONTENT + b"\0", b"x"])
    def test_another_length(self, machine, content):
        path = write_plan(machine.folder, content=content, manifest=manifest_of())
        with pytest.raises(ArtifactError, match=rf"it has {len(content)} bytes, expected {len(CONTENT)}, so it is not"):
            open_engine(path)

    def test_no_manifest(self, machine):
        path = write_plan(machine.folder)
        manifest_path(path).unlink()
        with pytest.raises(
            ArtifactError,
            match=r"has no net-int8\.plan\.json beside it.*or trust_plan \(--trust-plan\) if you built it",
        ):
            open_engine(path)

    @pytest.mark.parametrize("trust_plan", [True, False])
    def test_a_broken_manifest(self, machine, trust_plan):
        path = write_plan(machine.folder)
        manifest_path(path).write_text('{"format": "fer-plan-1"')
        with pytest.raises(ArtifactError, match="is not a manifest that this version reads"):
            open_engine(path, trust_plan=trust_plan)

    @pytest.mark.parametrize("device", ["cpu", "tensorrt", "tensorrt-rtx"])
    def test_no_cuda(self, machine, device):
        with pytest.raises(
            EngineError, match=rf"on the device {device}: a TensorRT plan runs on CUDA only\. Fix: device="
        ):
            machine.open(device=device)

    def test_host_code(self, machine):
        with pytest.raises(
            EngineError,
            match=r"it embeds a lean runtime.*\n    Fix: allow_host_code \(--allow-host-code\) if you trust it",
        ):
            machine.open(manifest_of(needs_host_code=True))

    @pytest.mark.parametrize("options", [{"trust_plan": True}, {"allow_host_code": True}])
    def test_a_permission_for_an_onnx(self, machine, options):
        (name,) = options
        with pytest.raises(
            ConfigError,
            match=rf"{name} \(--{name.replace('_', '-')}\) is for TensorRT plans, and .*net\.onnx is not one",
        ):
            open_engine(machine.folder / "net.onnx", **options)

    def test_trusted_is_still_judged(self, machine):
        with pytest.raises(EngineError, match=r"built with TensorRT 10\.3\.0"):
            machine.open(manifest_of(version="10.3.0"), trust_plan=True)
