"""The face recognition network: dlib's file read, its function kept for gray faces, statistics measured on faces."""

import importlib.machinery
import math
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from fer_train.errors import CheckpointError, MissingDependencyError
from fer_train.models import build_model
from fer_train.models.batch_norm import measure_batch_norm
from fer_train.models.face_resnet import FaceResNet
from fer_train.normalization import PIXEL_MEAN, PIXEL_STD

COLOR_MEANS = torch.tensor([122.782, 117.001, 104.298]).view(1, 3, 1, 1)


def size_in_dlib(value):
    content = value.to_bytes(max(1, math.ceil(value.bit_length() / 8)), "little")
    return bytes([len(content)]) + content


def layer_in_dlib(kind, values):
    sizes = b"".join(size_in_dlib(n) for n in (len(values), 1, 1, 1))
    return bytes([1, len(kind)]) + kind + b"\x01\x02" + sizes + values.numpy().astype("<f4").tobytes()


@pytest.fixture(scope="module")
def layers():
    """Kernels, biases, scales and offsets of a network with the author's shapes: small kernels, large scales."""
    generator = torch.Generator().manual_seed(0)
    model = FaceResNet(num_classes=2)
    kernels = [m.weight for m in model.modules() if isinstance(m, torch.nn.Conv2d)]
    found = []
    for number, kernel in enumerate(kernels):
        shape = (kernel.shape[0], 3 if number == 0 else kernel.shape[1], *kernel.shape[2:])
        outputs = shape[0]
        found.append(
            (
                0.01 * torch.randn(shape, generator=generator),
                0.1 * torch.randn(outputs, generator=generator),
                4 + torch.rand(outputs, generator=generator),
                torch.randn(outputs, generator=generator),
            )
        )
    return found


@pytest.fixture
def file(tmp_path, layers):
    content = b"\x01\x02\x01\x01"
    for kernel, bias, scale, offset in layers:
        content += layer_in_dlib(b"con_4", torch.cat([kernel.flatten(), bias]))
        content += layer_in_dlib(b"affine_", torch.cat([scale, offset]))
    path = tmp_path / "net.dat"
    path.write_bytes(content + b"the last stage")
    return path


def scaled_like_dlib(x, layer, *, stride, padding):
    kernel, bias, scale, offset = layer
    return F.conv2d(x, kernel, bias, stride, padding) * scale.view(1, -1, 1, 1) + offset.view(1, -1, 1, 1)


def features_as_dlib_computes_them(pixels, layers):
    """Return (N, 256, 3, 3) from gray pixels (N, 1, 112, 112), as the author's network does for a gray photograph."""
    rest = iter(layers)
    x = (pixels.expand(-1, 3, -1, -1) - COLOR_MEANS) / 256
    x = F.max_pool2d(F.relu(scaled_like_dlib(x, next(rest), stride=2, padding=0)), 3, 2)
    for blocks, halves in ((3, False), (4, True), (3, True), (3, True)):
        for block in range(blocks):
            down = halves and block == 0
            y = F.relu(scaled_like_dlib(x, next(rest), stride=2 if down else 1, padding=0 if down else 1))
            y = scaled_like_dlib(y, next(rest), stride=1, padding=1)
            if down:
                half = F.avg_pool2d(x, 2)
                x = torch.zeros(len(y), y.shape[1], *half.shape[2:])
                x[:, : half.shape[1]] = half
            x = x.clone()
            x[:, :, : y.shape[2], : y.shape[3]] += y
            x = F.relu(x)
    return x


def pooled(model, x):
    with torch.inference_mode():
        seen = []
        model.pool.register_forward_hook(lambda module, args, out: seen.append(out.flatten(1)))
        model(x)
    return seen[0]


def test_features_are_those_of_dlib(file, layers):
    model = build_model("face_resnet", num_classes=7, pretrained=file).eval()
    pixels = 255 * torch.rand(2, 1, 48, 48, generator=torch.Generator().manual_seed(1))
    large = F.interpolate(pixels, (112, 112), mode="bilinear", align_corners=False)
    expected = features_as_dlib_computes_them(large, layers)
    assert expected.shape == (2, 256, 3, 3)
    found = pooled(model, (pixels - PIXEL_MEAN) / PIXEL_STD)
    torch.testing.assert_close(found, expected.mean(dim=(2, 3)), rtol=1e-3, atol=1e-3 * float(expected.abs().max()))


def test_kernels_have_the_size_of_random_ones(file):
    model = build_model("face_resnet", num_classes=7, pretrained=file)
    for module in model.modules():
        if isinstance(module, torch.nn.Conv2d):
            expected = math.sqrt(2 / module.weight[0].numel())
            assert float(module.weight.detach().std()) == pytest.approx(expected, rel=0.01)


def test_measured_statistics_keep_the_function_in_evaluation_and_about_in_training(file):
    faces = torch.randn(64, 1, 48, 48, generator=torch.Generator().manual_seed(2))
    unmeasured = build_model("face_resnet", num_classes=7, pretrained=file).eval()
    model = build_model("face_resnet", num_classes=7, pretrained=file, faces=lambda: faces)
    assert model.training
    size = float(pooled(unmeasured, faces).abs().mean())
    assert pooled(model.eval(), faces).sub(pooled(unmeasured, faces)).abs().mean() < 1e-3 * size
    assert pooled(model.train(), faces).sub(pooled(unmeasured, faces)).abs().mean() < 0.1 * size
    assert pooled(unmeasured.train(), faces).sub(pooled(model.eval(), faces)).abs().mean() > 0.1 * size


def test_measured_statistics_are_those_of_the_faces():
    torch.manual_seed(0)
    norm = torch.nn.BatchNorm2d(3)
    torch.nn.init.uniform_(norm.weight, 1, 2)
    model, x = torch.nn.Sequential(norm).eval(), 5 + 3 * torch.randn(50, 3, 8, 8)
    before = model(x)
    measure_batch_norm(model, x)
    torch.testing.assert_close(norm.running_mean, x.mean(dim=(0, 2, 3)))
    torch.testing.assert_close(norm.running_var, x.var(dim=(0, 2, 3)))
    torch.testing.assert_close(model(x), before)
    assert not model.training


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda content: content[:-200_000], "ends within layer 27 of 27: truncated"),
        (lambda content: content[:30_000], "ends within layer 2 of 27: truncated"),
        (lambda content: b"<html>" * 100, "has no con_4 for layer 1 of 27: truncated, or not of this network"),
        (
            lambda content: content.replace(b"\x02\x80\x12", b"\x02\x80\x11", 1),
            "is of another network: layer 1 of 27 has 4480 and 64 numbers, expected 4736 and 64",
        ),
        (
            lambda content: content.replace(b"con_4\x01\x02", b"con_4\x01\x02\x0f" + b"\xff" * 15, 1),
            "ends within layer 1 of 27: truncated, or damaged",
        ),
        (
            lambda content: content[:-300] + b"\xff" * 300,
            "is damaged: layer 27 of 27 holds values that are not finite. Fix: dlib_face",
        ),
    ],
)
def test_a_damaged_file_is_an_error(file, damage, message):
    content = file.read_bytes()
    file.write_bytes(damage(content))
    assert file.read_bytes() != content
    with pytest.raises(CheckpointError, match=message):
        build_model("face_resnet", num_classes=7, pretrained=file)


def test_an_absent_file_is_an_error(tmp_path):
    with pytest.raises(CheckpointError, match=r"cannot read .*none\.dat: No such file or directory\. Fix: dlib_face"):
        build_model("face_resnet", num_classes=7, pretrained=tmp_path / "none.dat")


def test_a_state_dict_of_this_model_is_taken_as_it_is(tmp_path, file):
    model = build_model("face_resnet", num_classes=7, pretrained=file).eval()
    torch.save(model.state_dict(), tmp_path / "own.pth")
    again = build_model("face_resnet", num_classes=3, pretrained=tmp_path / "own.pth").eval()
    x = torch.randn(1, 1, 48, 48)
    torch.testing.assert_close(pooled(again, x), pooled(model, x))


@pytest.mark.parametrize("ending", [".pt", ".safetensors"])
def test_a_file_of_dlib_with_the_ending_of_a_state_dict_is_an_error_that_tells_the_ending(file, ending):
    renamed = file.rename(file.with_suffix(ending))
    with pytest.raises(CheckpointError, match=r"cannot load .* A file of dlib's .* needs its own ending"):
        build_model("face_resnet", num_classes=7, pretrained=renamed)


def test_a_state_dict_with_another_ending_is_an_error_that_tells_the_endings(tmp_path, file):
    model = build_model("face_resnet", num_classes=7, pretrained=file)
    torch.save(model.state_dict(), tmp_path / "own.bin")
    with pytest.raises(CheckpointError, match=r"no con_4 .* state dict whose name ends in \.safetensors"):
        build_model("face_resnet", num_classes=7, pretrained=tmp_path / "own.bin")


def test_faces_means_the_file_of_the_package(monkeypatch, file):
    (file.parent / "models").mkdir()
    file.rename(file.parent / "models" / "dlib_face_recognition_resnet_model_v1.dat")
    spec = importlib.machinery.ModuleSpec("face_recognition_models", None, origin=str(file.parent / "__init__.py"))
    monkeypatch.setattr("fer_train.models.face_resnet.find_spec", lambda name: spec)
    model = build_model("face_resnet", num_classes=7, pretrained=Path("faces"))
    assert float(model.bn.running_var[0]) == pytest.approx(1, abs=1e-4)


def test_without_the_package_faces_is_an_error(monkeypatch):
    monkeypatch.setattr("fer_train.models.face_resnet.find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match=r"pretrained: faces needs the package face_recognition_models"):
        build_model("face_resnet", num_classes=7, pretrained=Path("faces"))
