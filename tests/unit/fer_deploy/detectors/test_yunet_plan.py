"""YuNet as a TensorRT plan, on a simulated machine whose network is the predictable one."""

import numpy as np
import pytest
from unit.fer_deploy.detectors.white_yunet import HEADS, STRIDES
from unit.fer_deploy.engines.simulated_machine import SimulatedMachine
from unit.fer_deploy.engines.simulated_network import NetworkEngine, network_manifest
from unit.fer_deploy.engines.tensorrt.plan_files import manifest_of, write_plan

from fer_deploy.detectors import DetectorConfig
from fer_deploy.detectors.build import build_detectors
from fer_deploy.detectors.yunet import YuNetFinder
from fer_deploy.engines.network import open_network
from fer_deploy.errors import ArtifactError, EngineError
from fer_deploy.manifest import NetworkContract, manifest_path
from fer_deploy.vision.types import Box


def contract(smallest=(32, 32), usual=(96, 128), largest=(128, 192)) -> NetworkContract:
    """YuNet's, for pictures of these heights and widths."""
    shapes = {name: [1, 3, *size] for name, size in (("min", smallest), ("opt", usual), ("max", largest))}
    outputs = {
        f"{head}_{stride}": {"dtype": "float32", "shape": [1, None, size]}
        for head, size in HEADS.items()
        for stride in STRIDES
    }
    inputs = {"input": {"dtype": "float32", **shapes}}
    return NetworkContract.model_validate({"precision": "fp32", "inputs": inputs, "outputs": outputs})


@pytest.fixture
def machine(monkeypatch, tmp_path, white_yunet):
    """What its GPU computes is what ONNX Runtime computes; `plan` writes a plan and returns its path."""
    machine = SimulatedMachine(monkeypatch, tmp_path)
    network = open_network(white_yunet, fix="")

    def plan(*, manifest=None, **sizes):
        promised = contract(**sizes)
        machine.trt.make_engine = lambda trt: NetworkEngine(trt, promised, network.run)
        return write_plan(tmp_path, manifest=manifest or network_manifest(promised))

    machine.plan = plan
    return machine


def sizes_asked(machine):
    return [shapes["input"][2:] for shapes in machine.trt.batches]


@pytest.mark.parametrize("device", ["cpu", "auto", "cuda"])
@pytest.mark.parametrize("detector", ["yunet", "auto"])
def test_a_plan_finds_faces(machine, white_square, device, detector):
    config = DetectorConfig(detector=detector, detector_model=machine.plan())
    new_detector = build_detectors(config, device=device)
    for find in (new_detector(), new_detector()):
        (face,) = find.detect(white_square((32, 64, 8)))
        assert (face.box, len(face.landmarks)) == (Box(32, 64, 40, 72), 5)
    assert len(machine.trt.loaded) == 1


def test_a_frame_that_is_larger_than_the_plan_takes_is_shrunk(machine, white_square):
    find = build_detectors(DetectorConfig(detector_model=machine.plan(), min_face=8))()
    machine.trt.batches.clear()
    (face,) = find.detect(white_square((64, 128, 16), size=(256, 384)))
    assert (face.box.x1, face.box.y1) == (64, 128)
    assert sizes_asked(machine) == [(128, 192)]


def test_a_picture_that_is_smaller_than_the_plan_takes_is_padded(machine, white_square):
    finder = YuNetFinder(open_network(machine.plan(smallest=(64, 96)), fix="", device="cuda"))
    machine.trt.batches.clear()
    found = finder.find(white_square((16, 24, 8), size=(40, 50)))
    np.testing.assert_allclose(found.boxes_xyxy, [[16, 24, 24, 32]], atol=1e-3)
    assert sizes_asked(machine) == [(64, 96)]


def test_sizes_between_go_up_to_whole_strides_only(machine, white_square):
    finder = YuNetFinder(open_network(machine.plan(), fix="", device="cuda"))
    machine.trt.batches.clear()
    for size in [(90, 121), (33, 40), (128, 192)]:
        found = finder.find(white_square((24, 16, 8), size=size))
        np.testing.assert_allclose(found.boxes_xyxy, [[24, 16, 32, 24]], atol=1e-3)
    assert sizes_asked(machine) == [(96, 128), (64, 64), (128, 192)]


@pytest.mark.parametrize("size", [(129, 64), (64, 193)])
def test_a_finder_refuses_what_is_beyond(machine, white_square, size):
    finder = YuNetFinder(open_network(machine.plan(), fix="", device="cuda"))
    wanted = rf"a picture of {size[1]}x{size[0]} is larger than the 192x128 that this YuNet accepts\. Fix: a smaller"
    with pytest.raises(EngineError, match=wanted):
        finder.find(white_square(size=size))


@pytest.mark.parametrize(
    ("sizes", "text"), [({"smallest": (32, 40)}, "40x32"), ({"usual": (96, 128), "largest": (120, 192)}, "192x120")]
)
def test_a_profile_that_strides_do_not_divide(machine, sizes, text):
    wanted = rf"it accepts pictures of {text}, expected multiples of 32\. Fix: fer-deploy build --onnx .*--input-shapes"
    with pytest.raises(ArtifactError, match=wanted):
        build_detectors(DetectorConfig(detector_model=machine.plan(**sizes)))


class TestRefusals:
    def refusal(self, kind, path):
        with pytest.raises(kind) as caught:
            build_detectors(DetectorConfig(detector_model=path))
        assert "Fix: " in str(caught.value)
        return str(caught.value)

    def test_missing(self, tmp_path):
        text = self.refusal(ArtifactError, tmp_path / "yunet.plan")
        assert f"no model at {tmp_path}/yunet.plan. Fix: fer-deploy build --onnx " in text
        assert f" --out {tmp_path}/yunet.plan --input-shapes input 1x3x32x32 1x3x288x480 1x3x1088x1920" in text

    def test_no_manifest(self, machine):
        path = machine.plan()
        manifest_path(path).unlink()
        assert "has no net-int8.plan.json beside it" in self.refusal(ArtifactError, path)

    def test_an_emotion_model(self, machine):
        assert "is an emotion model" in self.refusal(ArtifactError, machine.plan(manifest=manifest_of()))

    def test_another_network(self, machine):
        outputs = {name: value for name, value in contract().outputs.items() if name != "kps_32"}
        other = NetworkContract(precision="fp32", inputs=contract().inputs, outputs=outputs)
        path = machine.plan(manifest=network_manifest(other))
        machine.trt.make_engine = lambda trt: NetworkEngine(trt, other, lambda tensors: fewer(tensors, outputs))
        assert f"cannot use {path} as a YuNet: it has input -> cls_8, " in self.refusal(ArtifactError, path)


def fewer(tensors, outputs):
    """A network of these outputs; what they hold is not looked at."""
    return {name: np.zeros((1, 1, wanted.shape[2]), dtype=np.float32) for name, wanted in outputs.items()}
