import sys

import pytest
import torch
import torch.nn.functional as F
from torchvision.models.resnet import BasicBlock, ResNet
from unit.fer_train.synthetic_faces import NARROW_CHANNELS, PLAIN_INPUT

from fer_train.checkpoint import load_release, save_release
from fer_train.errors import ConfigError, MissingDependencyError
from fer_train.models import MODEL_NAMES, build_model
from fer_train.models.senet import SEBlock, SqueezeExcitation


def num_parameters(name):
    return sum(p.numel() for p in build_model(name, num_classes=7).parameters())


@pytest.fixture
def narrow(monkeypatch):
    for module in ("net", "senet"):
        monkeypatch.setattr(f"fer_train.models.{module}.STAGE_CHANNELS", tuple(4 * c for c in NARROW_CHANNELS))
    monkeypatch.setattr("fer_train.models.vit.NUM_LAYERS", 2)
    monkeypatch.setattr("torchvision.models.resnet18", lambda weights: ResNet(BasicBlock, [1, 1, 1, 1]))


@pytest.mark.usefixtures("narrow")
@pytest.mark.parametrize("name", MODEL_NAMES)
def test_logits_for_any_size(name):
    model = build_model(name, num_classes=8).eval()
    for size in (16, 33, 40, 48):
        with torch.inference_mode():
            logits = model(torch.randn(2, 1, size, size))
        assert logits.shape == (2, 8)
        assert logits.isfinite().all()
        assert not torch.equal(logits[0], logits[1])


@pytest.mark.usefixtures("narrow")
@pytest.mark.parametrize("name", MODEL_NAMES)
@pytest.mark.parametrize("num_classes", [2, 100])
def test_logits_for_any_number_of_classes(name, num_classes):
    with torch.inference_mode():
        logits = build_model(name, num_classes=num_classes).eval()(torch.randn(1, 1, 16, 16))
    assert logits.shape == (1, num_classes)


@pytest.mark.parametrize("name", MODEL_NAMES)
def test_full_width_takes_48x48_faces(name):
    with torch.inference_mode():
        assert build_model(name, num_classes=7).eval()(torch.randn(1, 1, 48, 48)).shape == (1, 7)


def test_net_has_four_stages_of_two_blocks():
    model = build_model("net", num_classes=7)
    convolutions = [m for m in model.modules() if isinstance(m, torch.nn.Conv2d)]
    assert [c.out_channels for c in convolutions] == [64, 64, 128, 128, 256, 256, 512, 512]
    assert sum(isinstance(m, torch.nn.BatchNorm2d) for m in model.modules()) == 8
    assert sum(isinstance(m, torch.nn.MaxPool2d) for m in model.modules()) == 4
    assert sum(isinstance(m, torch.nn.Dropout) for m in model.modules()) == 1


def test_number_of_parameters_is_what_the_modules_say():
    assert num_parameters("net") == pytest.approx(4.7e6, rel=0.02)
    assert num_parameters("senet") == pytest.approx(5.3e6, rel=0.02)
    assert num_parameters("resnet18") == pytest.approx(11.2e6, rel=0.01)
    assert num_parameters("efficientnet_b0") == pytest.approx(4.0e6, rel=0.01)
    assert num_parameters("vit") == pytest.approx(3.6e6, rel=0.01)


def test_squeeze_excitation_scales_each_channel_by_a_gate_between_0_and_1():
    torch.manual_seed(0)
    block = SqueezeExcitation(32)
    x = torch.randn(4, 32, 6, 6)
    gates = block(x) / x
    assert ((gates > 0) & (gates < 1)).all()
    torch.testing.assert_close(gates, gates[:, :, :1, :1].expand_as(gates), rtol=1e-4, atol=1e-5)
    assert gates.std(dim=1).min() > 0


@pytest.mark.parametrize(("channels", "stride"), [(8, 1), (16, 1), (16, 2)])
def test_se_block_halves_the_side_with_its_stride(channels, stride):
    reduced = SEBlock(16, 16 * channels // 8, stride)
    assert reduced(torch.randn(2, 16, 12, 12)).shape == (2, 2 * channels, 12 // stride, 12 // stride)


@pytest.mark.usefixtures("narrow")
@pytest.mark.parametrize(("name", "layer", "side"), [("resnet18", "layer4", 6), ("efficientnet_b0", "features", 3)])
def test_stem_keeps_the_resolution_of_small_faces(name, layer, side):
    model, shapes = build_model(name, num_classes=7).eval(), []
    model.get_submodule(layer).register_forward_hook(lambda module, args, out: shapes.append(tuple(out.shape[2:])))
    with torch.inference_mode():
        model(torch.randn(1, 1, 48, 48))
    assert shapes == [(side, side)]


@pytest.mark.usefixtures("narrow")
def test_vit_frames_odd_sizes_with_the_mean():
    model, x = build_model("vit", num_classes=7).eval(), torch.randn(2, 1, 32, 32)
    torch.testing.assert_close(model(x), model(F.pad(x, (2, 2, 2, 2))))
    assert not torch.allclose(model(x), model(F.pad(x, (4, 0, 4, 0))))


@pytest.mark.usefixtures("narrow")
@pytest.mark.parametrize("size", [36, 48])
def test_vit_knows_where_a_patch_was(size):
    model, x = build_model("vit", num_classes=7).eval(), torch.randn(1, 1, size, size)
    moved = x.roll(6, dims=3)
    assert not torch.allclose(model(x), model(moved), atol=1e-4)
    torch.nn.init.ones_(model.encoder.pos_embedding)
    torch.testing.assert_close(model(x), model(moved))


@pytest.mark.usefixtures("narrow")
def test_vit_learns_its_positions_on_small_images_too():
    model = build_model("vit", num_classes=7)
    model(torch.randn(2, 1, 24, 24)).square().sum().backward()
    assert (model.encoder.pos_embedding.grad.abs().amax(dim=2) > 0).all()


@pytest.mark.usefixtures("narrow")
@pytest.mark.parametrize("name", MODEL_NAMES)
def test_a_channels_last_step_reaches_every_weight_and_its_release_gives_the_same_logits(tmp_path, name):
    torch.manual_seed(2)
    model = build_model(name, num_classes=5).to(memory_format=torch.channels_last)
    images = torch.randn(4, 1, 24, 24).to(memory_format=torch.channels_last)
    F.cross_entropy(model(images), torch.arange(4)).backward()
    assert [key for key, p in model.named_parameters() if p.grad is None] == []
    torch.optim.SGD(model.parameters(), lr=0.1).step()
    spec = {"architecture": name, "labels": list("abcde"), "input": PLAIN_INPUT}
    save_release(tmp_path / "m.safetensors", model, spec)
    loaded, _ = load_release(tmp_path / "m.safetensors")
    with torch.inference_mode():
        torch.testing.assert_close(loaded(images), model.eval()(images))


@pytest.mark.usefixtures("narrow")
@pytest.mark.parametrize("name", MODEL_NAMES)
def test_dropout_acts_in_training_only(name):
    model, x = build_model(name, num_classes=7, dropout=0.9), torch.randn(2, 1, 16, 16)
    assert [m.p for m in model.modules() if isinstance(m, torch.nn.Dropout) and m.p] == [0.9]
    assert not torch.equal(model(x), model(x))
    model.eval()
    assert torch.equal(model(x), model(x))


def test_unknown_model_lists_the_known_ones():
    with pytest.raises(ConfigError, match=r"unknown model 'resnet'\. Known models: net, senet, nano, resnet18, eff"):
        build_model("resnet", num_classes=7)


def test_one_class_is_no_classifier():
    with pytest.raises(ConfigError, match="num_classes is 1; a classifier needs at least 2"):
        build_model("net", num_classes=1)


def test_only_the_models_of_torchvision_need_torchvision(monkeypatch):
    monkeypatch.delitem(sys.modules, "fer_train.models.vit", raising=False)
    monkeypatch.setitem(sys.modules, "torchvision", None)
    build_model("net", num_classes=7)
    with pytest.raises(MissingDependencyError, match=r"model 'vit' needs torchvision\. Fix: make setup, or pip"):
        build_model("vit", num_classes=7)
