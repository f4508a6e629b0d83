import pickle

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torchvision import models
from torchvision.models.resnet import BasicBlock, ResNet

from fer_train.errors import CheckpointError, ConfigError
from fer_train.models import build_model
from fer_train.models.pretrained import resized_positions

TINY_VIT = {"num_layers": 1, "num_heads": 3, "hidden_dim": 192, "mlp_dim": 768}


def shallow_resnet(weights=None):
    """torchvision's resnet18 with one block a stage."""
    return ResNet(BasicBlock, [1, 1, 1, 1])


@pytest.fixture(autouse=True)
def shallow(monkeypatch):
    monkeypatch.setattr("fer_train.models.vit.NUM_LAYERS", 1)
    monkeypatch.setattr("torchvision.models.resnet18", shallow_resnet)


@pytest.fixture(autouse=True)
def no_download(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("nothing may be downloaded")

    monkeypatch.setattr("torch.hub.load_state_dict_from_url", refuse)
    monkeypatch.setattr("torch.hub.download_url_to_file", refuse)


@pytest.fixture(scope="module")
def states():
    """State dicts of torchvision's own models, as made for color images of 224x224 (ViT: of 64x64, 16x16 patches)."""
    torch.manual_seed(7)
    return {
        "resnet18": shallow_resnet().state_dict(),
        "efficientnet_b0": models.efficientnet_b0(weights=None).state_dict(),
        "vit": models.VisionTransformer(image_size=64, patch_size=16, **TINY_VIT).state_dict(),
    }


def write(path, state):
    if path.suffix == ".safetensors":
        save_file({name: value.contiguous() for name, value in state.items()}, path)
    else:
        torch.save(state, path)
    return path


def load(name, path):
    return build_model(name, num_classes=7, pretrained=path)


@pytest.mark.parametrize(
    ("name", "suffix", "converted", "head"),
    [
        ("resnet18", "pth", {"conv1.weight"}, "fc."),
        ("efficientnet_b0", "safetensors", {"features.0.0.weight"}, "classifier."),
        ("vit", "pt", {"conv_proj.weight", "encoder.pos_embedding"}, "heads."),
    ],
)
def test_everything_but_stem_positions_and_classifier_is_copied(tmp_path, states, name, suffix, converted, head):
    path = write(tmp_path / f"w.{suffix}", states[name])
    torch.manual_seed(1)
    loaded = load(name, path).state_dict()
    torch.manual_seed(1)
    untrained = build_model(name, num_classes=7).state_dict()
    for key, value in loaded.items():
        if key.startswith(head):
            assert torch.equal(value, untrained[key])
        elif key not in converted:
            assert torch.equal(value, states[name][key]), key
    assert all(not torch.equal(loaded[key], untrained[key]) for key in converted)


def test_gray_stem_answers_as_the_color_stem_does_to_three_equal_colors(tmp_path, states):
    model = load("efficientnet_b0", write(tmp_path / "w.pth", states["efficientnet_b0"]))
    x = torch.randn(2, 1, 12, 12)
    expected = F.conv2d(x.expand(-1, 3, -1, -1), states["efficientnet_b0"]["features.0.0.weight"], padding=1)
    torch.testing.assert_close(model.features[0][0](x), expected)


@pytest.mark.parametrize(("name", "stem", "size"), [("resnet18", "conv1", 3), ("vit", "conv_proj", 6)])
def test_resampled_kernel_answers_flat_regions_as_before(tmp_path, states, name, stem, size):
    kernel = load(name, write(tmp_path / "w.pth", states[name])).state_dict()[f"{stem}.weight"]
    assert kernel.shape[1:] == (1, size, size)
    before = states[name][f"{stem}.weight"].sum(dim=(1, 2, 3))
    torch.testing.assert_close(kernel.sum(dim=(1, 2, 3)), before, atol=1e-5, rtol=1e-4)


def test_resampled_kernel_keeps_its_shape(tmp_path, states):
    state = dict(states["resnet18"])
    ramp = torch.linspace(-1, 1, 7).expand(64, 3, 7, 7)  # an edge detector: left dark, right bright
    state["conv1.weight"] = ramp.contiguous()
    kernel = load("resnet18", write(tmp_path / "w.pth", state)).conv1.weight.detach()[0, 0]
    torch.testing.assert_close(kernel, kernel[:1].expand(3, 3))
    torch.testing.assert_close(kernel[0, 1], torch.tensor(0.0), atol=1e-5, rtol=0)
    torch.testing.assert_close(kernel[0, 2], -kernel[0, 0])
    assert kernel[0, 2] > 5


def test_positions_keep_the_class_token_and_their_place():
    row, column = torch.meshgrid(torch.arange(4.0), torch.arange(4.0), indexing="ij")
    positions = torch.cat([torch.tensor([[9.0, 9.0]]), torch.stack([row.flatten(), column.flatten()], 1)])[None]
    resized = resized_positions(positions, (8, 8))
    assert resized.shape == (1, 65, 2)
    assert resized[0, 0].tolist() == [9.0, 9.0]
    grid = resized[0, 1:].reshape(8, 8, 2)
    assert (grid[1:, :, 0] > grid[:-1, :, 0]).all()
    assert (grid[:, 1:, 1] > grid[:, :-1, 1]).all()
    torch.testing.assert_close(grid[..., 0], grid[:, :1, 0].expand(8, 8))
    assert resized_positions(positions, (4, 4)) is positions
    assert resized_positions(positions, (2, 3)).shape == (1, 7, 2)


def test_gray_weights_of_the_right_size_are_taken_as_they_are(tmp_path):
    model = build_model("vit", num_classes=3)
    loaded = load("vit", write(tmp_path / "w.safetensors", model.state_dict()))
    assert torch.equal(loaded.conv_proj.weight, model.conv_proj.weight)
    assert torch.equal(loaded.encoder.pos_embedding, model.encoder.pos_embedding)
    assert loaded.heads[1].out_features == 7


def test_files_from_before_batches_were_counted(tmp_path, states):
    old = {name: value for name, value in states["resnet18"].items() if not name.endswith("num_batches_tracked")}
    assert torch.equal(load("resnet18", write(tmp_path / "w.pth", old)).bn1.weight, old["bn1.weight"])


@pytest.mark.parametrize("name", ["net", "senet"])
def test_own_models_have_no_pretrained_weights(tmp_path, name):
    with pytest.raises(
        ConfigError, match=rf"model '{name}' is this project's own.*w\.pth cannot fit\. Fix: one of res"
    ):
        load(name, tmp_path / "w.pth")


def test_absent_file(tmp_path):
    with pytest.raises(CheckpointError, match=r"no pretrained weights at .*w\.pth\. Fix: a path .* downloads nothing"):
        load("vit", tmp_path / "w.pth")


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
@pytest.mark.parametrize("keep", [0, 100, -1])
def test_truncated_file(tmp_path, states, suffix, keep):
    path = write(tmp_path / f"w.{suffix}", states["vit"])
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(
        CheckpointError,
        match=r"cannot load .*w\.(pth|safetensors): .*\. Fix: write the file again with torch\.save\(model\.state",
    ):
        load("vit", path)


class Payload:
    """Would write a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.mark.parametrize("save", [torch.save, lambda o, p: p.write_bytes(pickle.dumps(o, protocol=2))])
def test_code_in_a_file_is_refused_and_not_run(tmp_path, save):
    save({"conv1.weight": Payload(tmp_path / "harm")}, tmp_path / "w.pth")
    with pytest.raises(CheckpointError, match=r"cannot load .*w\.pth: truncated, or not a state dict \("):
        load("resnet18", tmp_path / "w.pth")
    assert [p.name for p in tmp_path.iterdir()] == ["w.pth"]


@pytest.mark.parametrize(
    ("content", "seen"),
    [({"model": {}, "epoch": 3}, "a dict of 'model', 'epoch'"), ([1, 2], "<class 'list'>")],
)
def test_not_a_state_dict(tmp_path, content, seen):
    torch.save(content, tmp_path / "w.pth")
    with pytest.raises(CheckpointError, match=rf"w\.pth holds {seen}, expected the tensors of a state dict by name\."):
        load("resnet18", tmp_path / "w.pth")


def without(state, key):
    return {name: value for name, value in state.items() if name != key}


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda s: {}, r": 18 tensors are missing \(class_token, \.\.\.\)\. Fix"),
        (lambda s: without(s, "encoder.ln.bias"), r": 1 tensors are missing \(encoder\.ln\.bias\)\. Fix"),
        (lambda s: s | {"extra": torch.ones(1)}, r": 1 are foreign to it \(extra\)\. Fix"),
        (
            lambda s: s | {"encoder.ln.bias": torch.ones(32)},
            r": 1 have another shape \(encoder\.ln\.bias is \(32,\) and not \(192,\)\)\. Fix",
        ),
        (
            lambda s: s | {"conv_proj.weight": torch.ones(192, 4, 16, 16)},
            r": 1 have another shape \(conv_proj\.weight is \(192, 4, 16, 16\) and not \(192, 1, 6, 6\)\)\. Fix",
        ),
        (
            lambda s: s | {"encoder.ln.bias": torch.full((192,), torch.nan)},
            r": 1 hold values that are not finite \(encoder\.ln\.bias\)\. Fix",
        ),
    ],
)
def test_what_does_not_fit_is_named(tmp_path, states, change, fault):
    path = write(tmp_path / "w.pth", change(states["vit"]))
    with pytest.raises(CheckpointError, match=rf"w\.pth does not hold weights of torchvision's vit{fault}"):
        load("vit", path)


def test_weights_of_another_architecture(tmp_path, states):
    fault = r"torchvision's resnet18: 60 tensors are missing \(conv1\.weight, \.\.\.\); 20 are foreign to it \("
    with pytest.raises(CheckpointError, match=fault):
        load("resnet18", write(tmp_path / "w.pth", states["vit"]))


@pytest.mark.parametrize("shape", [(1, 66, 192), (1, 0, 192), (2, 17, 192), (17, 192)])
def test_positions_that_are_no_square_grid(tmp_path, states, shape):
    state = states["vit"] | {"encoder.pos_embedding": torch.zeros(shape)}
    with pytest.raises(CheckpointError, match=r"1 have another shape \(encoder\.pos_embedding is \("):
        load("vit", write(tmp_path / "w.pth", state))


def test_a_wider_vit_is_refused(tmp_path):
    wide = models.VisionTransformer(image_size=32, patch_size=16, **TINY_VIT | {"hidden_dim": 384})
    with pytest.raises(CheckpointError, match=r"torchvision's vit: 17 have another shape \(class_token is"):
        load("vit", write(tmp_path / "w.pth", wide.state_dict()))
