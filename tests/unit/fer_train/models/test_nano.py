"""The promises of Nano: its budget, counted exactly, and only layers that INT8 engines run fast."""

import pytest
import torch
from torch import nn

from fer_train.models import build_model


def multiply_adds(model: nn.Module, side: int) -> int:
    """Count the multiplications of one face's forward pass; batch norm is folded into convolutions when deployed."""
    counted: list[int] = []

    def count(module: nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        assert isinstance(module.weight, torch.Tensor)
        counted.append(output[0].numel() * module.weight[0].numel())

    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.register_forward_hook(count)
    with torch.inference_mode():
        model.eval()(torch.zeros(1, 1, side, side))
    return sum(counted)


@pytest.mark.parametrize(
    ("num_classes", "parameters", "products"), [(7, 972_519, 59_149_184), (8, 972_648, 59_149_312)]
)
def test_budget_of_a_million_parameters_and_60_million_multiply_adds(num_classes, parameters, products):
    model = build_model("nano", num_classes=num_classes)
    assert sum(p.numel() for p in model.parameters()) == parameters <= 1_000_000
    assert multiply_adds(model, 48) == products <= 60_000_000


def test_smaller_images_cost_less():
    model = build_model("nano", num_classes=7)
    assert [multiply_adds(model, side) for side in (32, 40)] == [26_289_024, 41_076_096]


def test_every_layer_is_one_that_int8_engines_run_fast():
    leaves = [m for m in build_model("nano", num_classes=7).modules() if not list(m.children())]
    fast = nn.Conv2d | nn.BatchNorm2d | nn.ReLU | nn.Identity | nn.AdaptiveAvgPool2d | nn.Dropout | nn.Linear
    assert [m for m in leaves if not isinstance(m, fast)] == []
    convolutions = [m for m in leaves if isinstance(m, nn.Conv2d)]
    assert {m.groups for m in convolutions} == {1}
    assert {m.kernel_size for m in convolutions} == {(1, 1), (3, 3)}
    assert all(m.out_channels % 32 == 0 for m in convolutions)
    assert [m.in_channels for m in convolutions if m.in_channels % 32] == [1]
