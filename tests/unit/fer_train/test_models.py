import pytest
import torch
from unit.fer_train.synthetic_faces import NARROW_CHANNELS

from fer_train.errors import ConfigError
from fer_train.models import MODEL_NAMES, build_model
from fer_train.models.senet import SEBlock, SqueezeExcitation


def num_parameters(name):
    return sum(p.numel() for p in build_model(name, num_classes=7).parameters())


@pytest.fixture
def narrow(monkeypatch):
    for module in ("net", "senet"):
        monkeypatch.setattr(f"fer_train.models.{module}.STAGE_CHANNELS", tuple(4 * c for c in NARROW_CHANNELS))


@pytest.mark.usefixtures("narrow")
@pytest.mark.parametrize("name", MODEL_NAMES)
@pytest.mark.parametrize(("num_classes", "size"), [(2, 16), (7, 48), (8, 33), (100, 40)])
def test_logits_for_any_number_of_classes_and_size(name, num_classes, size):
    model = build_model(name, num_classes=num_classes).eval()
    logits = model(torch.randn(3, 1, size, size))
    assert logits.shape == (3, num_classes)
    assert logits.isfinite().all()


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
    assert num_parameters("senet") == pytest.approx(11.3e6, rel=0.02)


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
@pytest.mark.parametrize("name", MODEL_NAMES)
def test_dropout_acts_in_training_only(name):
    model, x = build_model(name, num_classes=7, dropout=0.9), torch.randn(2, 1, 16, 16)
    assert not torch.equal(model(x), model(x))
    model.eval()
    assert torch.equal(model(x), model(x))


def test_unknown_model_lists_the_known_ones():
    with pytest.raises(ConfigError, match=r"unknown model 'resnet'\. Known models: net, senet"):
        build_model("resnet", num_classes=7)


def test_one_class_is_no_classifier():
    with pytest.raises(ConfigError, match="num_classes is 1; a classifier needs at least 2"):
        build_model("net", num_classes=1)
