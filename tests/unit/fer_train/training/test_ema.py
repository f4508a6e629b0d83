import pytest
import torch
from torch import nn

from fer_train.training.ema import WarmAverage


class OneWeight(nn.Module):
    """A weight, a float buffer and a counter, to be set by hand."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.register_buffer("mean", torch.zeros(1))
        self.register_buffer("count", torch.zeros((), dtype=torch.int64))

    def set(self, value):
        with torch.no_grad():
            self.weight.fill_(value)
            self.mean.fill_(-value)
            self.count.fill_(int(value))


def averages_of(values, decay):
    model = OneWeight()
    ema = WarmAverage(model, decay)
    for value in values:
        model.set(value)
        ema.update_parameters(model)
    return ema.module


def test_the_first_update_takes_the_weights_as_they_are():
    assert averages_of([8.0], 0.999).weight.item() == 8.0


def test_decay_warms_up():
    # After n earlier updates the average keeps (1 + n) / (10 + n): 2/11, then 3/12.
    second = 8 * 2 / 11 + 30 * 9 / 11
    expected = second * 3 / 12 + 70 * 9 / 12
    averaged = averages_of([8.0, 30.0, 70.0], 0.999)
    assert averaged.weight.item() == pytest.approx(expected, rel=1e-6)
    assert averaged.mean.item() == pytest.approx(-expected, rel=1e-6)


def test_decay_is_capped():
    assert averages_of([8.0, 30.0], 0.1).weight.item() == pytest.approx(8 * 0.1 + 30 * 0.9, rel=1e-6)


def test_counters_are_copied_and_not_averaged():
    assert averages_of([8.0, 30.0], 0.999).count.item() == 30


def test_the_model_itself_is_left_alone():
    model = OneWeight()
    ema = WarmAverage(model, 0.9)
    for value in (1.0, 5.0):
        model.set(value)
        ema.update_parameters(model)
    assert model.weight.item() == 5.0


@pytest.mark.gpu
def test_no_update_waits_for_the_device():
    model = OneWeight().cuda()
    ema = WarmAverage(model, 0.9)
    torch.cuda.set_sync_debug_mode("error")
    try:
        for _ in range(3):
            ema.update_parameters(model)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert int(ema.n_averaged) == 3


def test_the_counter_stays_on_the_cpu():
    """An average that is moved to another device keeps it there: reading it must wait for nothing."""
    assert WarmAverage(OneWeight(), 0.9).n_averaged.device.type == "cpu"
