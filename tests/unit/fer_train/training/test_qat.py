import copy
import json

import pytest
import torch
from torch import nn
from unit.fer_train.synthetic_faces import PLAIN_INPUT, make_faces, tiny_config

from fer_train.checkpoint import load_release, read_spec_json, save_release
from fer_train.errors import ConfigError
from fer_train.models import build_model
from fer_train.training.ema import WarmAverage
from fer_train.training.loop import fit
from fer_train.training.qat import (
    QuantizedConv2d,
    QuantizedLinear,
    activation_ranges,
    float_state_dict,
    prepare_qat,
    strip_qat,
)

pytestmark = pytest.mark.usefixtures("narrow_net")


@pytest.fixture
def model():
    torch.manual_seed(3)
    return build_model("net", num_classes=7, dropout=0.0)


@pytest.fixture
def faces():
    return torch.randn(8, 1, 16, 16, generator=torch.Generator().manual_seed(1))


def learned(model, faces):
    """The model, prepared, after one training batch."""
    prepare_qat(model)
    model.train()(faces)
    return model


def one_linear(weight, max_abs):
    """A prepared Linear with this weight and this input range, in eval mode."""
    layer = nn.Linear(len(weight[0]), len(weight), bias=False)
    layer.weight.data = torch.tensor(weight)
    prepare_qat(layer)
    layer.input_max_abs.fill_(max_abs)
    return layer.eval()


def test_weights_are_rounded_to_127_steps_of_each_output_channels_own_maximum():
    layer = one_linear([[1.27, 0.114], [127.0, 11.4]], 127.0)
    rounded = layer(torch.eye(2) * 127).T / 127
    torch.testing.assert_close(rounded, torch.tensor([[1.27, 0.11], [127.0, 11.0]]))


def test_inputs_are_rounded_to_127_steps_of_the_range_and_clipped_as_int8_is():
    layer = one_linear([[1.0]], 1.27)
    rounded = layer(torch.tensor([[0.004], [0.006], [1.27], [5.0], [-5.0]])).flatten()
    torch.testing.assert_close(rounded, torch.tensor([0.0, 0.01, 1.27, 1.27, -1.28]))


def test_a_channel_of_zeros_stays_zero():
    assert one_linear([[0.0, 0.0], [1.0, 1.0]], 1.0)(torch.ones(1, 2)).tolist() == [[0.0, 2.0]]


def test_gradients_pass_straight_through_except_where_the_input_was_clipped():
    layer = one_linear([[0.3, 0.2, 0.1]], 1.0)
    x = torch.tensor([[0.5, 7.0, -0.2]], requires_grad=True)
    layer(x).sum().backward()
    torch.testing.assert_close(x.grad, torch.tensor([[0.3, 0.0, 0.1]]), atol=0.002, rtol=0)
    torch.testing.assert_close(layer.weight.grad, torch.tensor([[0.5, 1.0, -0.2]]), atol=0.005, rtol=0)


def test_the_range_is_the_first_batchs_maximum_then_a_moving_average():
    layer = nn.Linear(2, 1)
    prepare_qat(layer)
    layer(torch.tensor([[1.0, -3.0]]))
    assert activation_ranges(layer) == {"": 3.0}
    layer(torch.tensor([[13.0, 0.0]]))
    assert activation_ranges(layer)[""] == pytest.approx(3.1)


def test_a_batch_that_overflowed_leaves_the_range_alone():
    layer = nn.Linear(2, 1)
    prepare_qat(layer)
    layer(torch.tensor([[1.0, -3.0]]))
    layer(torch.tensor([[float("inf"), 0.0]]))
    assert activation_ranges(layer) == {"": 3.0}


def test_eval_mode_freezes_the_ranges(model, faces):
    learned(model, faces)
    before = activation_ranges(model)
    model.eval()(faces * 50)
    assert activation_ranges(model) == before
    model.train()(faces * 50)
    assert activation_ranges(model) != before


def test_every_convolution_and_linear_has_a_range_under_its_own_name(model, faces):
    expected = [name for name, m in model.named_modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    ranges = activation_ranges(learned(model, faces))
    assert list(ranges) == expected
    assert ranges["features.0.0"] == faces.abs().max()
    assert all(value > 0 for value in ranges.values())


def test_layers_can_stay_float(model, faces):
    prepare_qat(model, float_layers=("classifier",))
    model(faces)
    assert type(model.classifier) is nn.Linear
    assert "classifier" not in activation_ranges(model)


def test_attention_stays_float_and_the_rest_of_a_vit_is_quantized(monkeypatch):
    pytest.importorskip("torchvision")
    monkeypatch.setattr("fer_train.models.vit.NUM_LAYERS", 1)
    vit = build_model("vit", num_classes=7)
    vit_ranges = activation_ranges(learned(vit, torch.randn(2, 1, 48, 48)))
    layer = "encoder.layers.encoder_layer_0"
    assert set(vit_ranges) == {"conv_proj", f"{layer}.mlp.0", f"{layer}.mlp.3", "heads.1"}


def test_rounding_moves_the_logits_a_little_and_less_than_a_coarser_one_would(model, faces):
    exact = model.eval()(faces)
    quantized = learned(copy.deepcopy(model), faces).eval()
    quantized.load_state_dict(model.state_dict(), strict=False)  # the batch moved the batch norm's statistics
    difference = (quantized(faces) - exact).abs().max()
    assert 0 < difference < 0.05 * exact.abs().max()


def test_names_and_identity_of_the_weights_do_not_change(model, faces):
    names, parameters = list(model.state_dict()), list(model.parameters())
    learned(model, faces)
    assert all(a is b for a, b in zip(model.parameters(), parameters, strict=True))
    assert list(float_state_dict(model)) == names
    assert set(model.state_dict()) - set(names) == {f"{name}.input_max_abs" for name in activation_ranges(model)}


def test_stripped_model_is_the_float_model_with_the_learned_weights(tmp_path, model, faces):
    learned(model, faces)
    copied = strip_qat(copy.deepcopy(model))
    assert {type(m) for m in model.modules()} >= {QuantizedConv2d, QuantizedLinear}
    assert {type(m) for m in copied.modules()} & {QuantizedConv2d, QuantizedLinear} == set()
    assert activation_ranges(copied) == {}
    spec = {"architecture": "net", "labels": list("abcdefg"), "input": PLAIN_INPUT}
    save_release(tmp_path / "net.safetensors", copied, spec)
    released, _ = load_release(tmp_path / "net.safetensors")
    assert list(released.state_dict()) == list(float_state_dict(model))
    assert torch.equal(released(faces), copied.eval()(faces))


def test_a_step_trains_the_weights_and_the_ema_carries_the_ranges(model, faces):
    prepare_qat(model)
    ema = WarmAverage(model, 0.9)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    losses = []
    for _ in range(8):
        loss = nn.functional.cross_entropy(model.train()(faces), torch.arange(8) % 7)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        ema.update_parameters(model)
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]
    averaged, current = activation_ranges(ema.module), activation_ranges(model)
    assert averaged.keys() == current.keys()
    assert averaged["features.0.0"] == pytest.approx(current["features.0.0"])
    assert averaged["classifier"] != current["classifier"]
    assert ema.module.eval()(faces).isfinite().all()


def test_bf16_autocast(model, faces):
    prepare_qat(model)
    with torch.autocast("cpu", torch.bfloat16):
        model.train()(faces).float().sum().backward()
        rounded = model.eval()(faces)
    assert rounded.dtype == torch.bfloat16
    assert all(p.grad.isfinite().all() and p.grad.dtype == torch.float32 for p in model.parameters())
    torch.testing.assert_close(rounded.float(), model(faces), atol=0.05, rtol=0.1)
    assert all(buffer.dtype == torch.float32 for name, buffer in model.named_buffers() if name.endswith("max_abs"))


def test_a_saved_state_restores_the_ranges(model, faces):
    fresh = copy.deepcopy(model)
    learned(model, faces)
    prepare_qat(fresh)
    fresh.load_state_dict(model.state_dict())
    assert activation_ranges(fresh) == activation_ranges(model)
    assert torch.equal(fresh.eval()(faces), model.eval()(faces))


def test_ranges_travel_in_the_spec_of_a_release(tmp_path, model, faces):
    ranges = activation_ranges(learned(model, faces))
    spec = {"architecture": "net", "labels": list("abcdefg"), "quantization": ranges}
    save_release(tmp_path / "net.safetensors", strip_qat(model), spec)
    assert json.loads(read_spec_json(tmp_path / "net.safetensors"))["quantization"] == ranges


def test_before_the_first_training_batch_there_is_no_range(model):
    prepare_qat(model)
    message = (
        r"the input range of 9 of 9 quantized layers is unknown \(features\.0\.0, \.\.\.\)\. Fix: run training batches"
    )
    with pytest.raises(ConfigError, match=message):
        activation_ranges(model)


def test_an_unseen_range_is_that_of_the_batch(model, faces):
    exact = model.eval()(faces)
    prepare_qat(model)
    assert 0 < (model(faces) - exact).abs().max() < 0.05 * exact.abs().max()


def test_preparing_twice(model):
    prepare_qat(model)
    with pytest.raises(ConfigError, match=r"already prepared for quantization\. Fix: call prepare_qat once"):
        prepare_qat(model)


def test_nothing_to_quantize():
    with pytest.raises(ConfigError, match="no Conv2d or Linear to quantize"):
        prepare_qat(nn.Sequential(nn.ReLU()))


def test_unknown_float_layer(model):
    with pytest.raises(ConfigError, match="float_layers names 'head', which is not a Conv2d or Linear of this model"):
        prepare_qat(model, float_layers=("head",))
    assert not any(isinstance(m, QuantizedConv2d) for m in model.modules())


def test_quantization_aware_run_releases_plain_weights_and_the_ranges(tmp_path):
    run = fit(tiny_config(num_epochs=2, quantization_aware=True), make_faces(), tmp_path)
    model, spec = load_release(tmp_path / "best.safetensors")
    layers = {n for n, m in model.named_modules() if isinstance(m, torch.nn.Conv2d | torch.nn.Linear)}
    assert set(spec["quantization"]) == layers
    assert all(value > 0 for value in spec["quantization"].values())
    assert not any("input_max_abs" in name for name in model.state_dict())
    assert any("input_max_abs" in name for name in run.released.state_dict())
    assert spec["provenance"]["config"]["quantization_aware"] is True


def test_quantization_ranges_of_the_release_belong_to_its_weights(tmp_path):
    """Both are the averaged ones."""
    run = fit(tiny_config(num_epochs=1, quantization_aware=True), make_faces(), tmp_path)
    model, spec = load_release(tmp_path / "best.safetensors")
    judged = run.released.state_dict()
    assert all(torch.equal(value, judged[name]) for name, value in model.state_dict().items())
    assert all(judged[f"{name}.input_max_abs"] == value for name, value in spec["quantization"].items())
