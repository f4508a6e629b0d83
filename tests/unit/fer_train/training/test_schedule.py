import itertools

import pytest
import torch
from unit.fer_train.synthetic_faces import tiny_config

from fer_train.training.schedule import Schedule, build_optimizer


def plateau(**changes):
    return {"name": "ReduceLROnPlateau", "factor": 0.5, "patience": 1, "min_lr": 0.01} | changes


def one_cycle(fraction):
    return {"name": "OneCycle", "warmup_fraction": fraction}


def build(scheduler, *, steps=10, **changes):
    config = tiny_config(scheduler=scheduler, **changes)
    model = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.BatchNorm2d(2))
    optimizer = build_optimizer(config, model)
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    return optimizer, Schedule(config, optimizer, steps)


def rates_per_step(optimizer, schedule, count):
    rates = []
    for _ in range(count):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.after_step()
    return rates


def test_one_cycle_warms_up_to_the_learning_rate_and_anneals_to_almost_zero():
    rates = rates_per_step(*build(one_cycle(0.2), num_epochs=10, learning_rate=0.1), 100)
    peak = rates.index(max(rates))
    assert max(rates) == pytest.approx(0.1)
    assert peak == pytest.approx(20, abs=1)
    assert rates[:peak] == sorted(rates[:peak])
    assert rates[peak:] == sorted(rates[peak:], reverse=True)
    assert rates[0] == pytest.approx(0.1 / 25)
    assert rates[-1] < 1e-5


@pytest.mark.parametrize(("epochs", "fraction"), [(1, 0.15), (2, 0.5), (4, 0.25), (10, 0.1)])
def test_one_cycle_of_few_steps(epochs, fraction):
    optimizer, schedule = build(one_cycle(fraction), steps=1, num_epochs=epochs, learning_rate=0.1)
    assert all(0 < rate <= 0.1 for rate in rates_per_step(optimizer, schedule, epochs))


def cosine(**changes):
    return {"name": "Cosine", "warmup_epochs": 2.0} | changes


def test_cosine_rises_linearly_then_falls_to_the_floor():
    optimizer, schedule = build(cosine(min_lr=0.01), num_epochs=10, learning_rate=0.1)
    rates = rates_per_step(optimizer, schedule, 100)
    steps = [later - earlier for earlier, later in itertools.pairwise(rates[:21])]
    assert steps == pytest.approx([steps[0]] * 20)
    assert rates.index(max(rates)) == 20
    assert max(rates) == pytest.approx(0.1)
    assert rates[60] == pytest.approx((0.1 + 0.01) / 2)  # half-way down
    assert rates[20:] == sorted(rates[20:], reverse=True)
    assert 0.01 < rates[-1] < 0.0101


def test_cosine_without_warm_up_starts_at_the_learning_rate():
    rates = rates_per_step(*build(cosine(warmup_epochs=0.0), num_epochs=1, learning_rate=0.1), 10)
    assert rates[0] == pytest.approx(0.1)
    assert 0 < rates[-1] < 0.01


def test_one_cycle_heeds_no_epoch():
    optimizer, schedule = build(one_cycle(0.2))
    before = optimizer.param_groups[0]["lr"]
    schedule.after_epoch(0.1)
    assert optimizer.param_groups[0]["lr"] == before


def rates_per_epoch(optimizer, schedule, accuracies):
    rates = []
    for accuracy in accuracies:
        schedule.after_epoch(accuracy)
        rates.append(optimizer.param_groups[0]["lr"])
    return rates


def test_plateau_waits_for_patience_then_multiplies_by_factor_down_to_min_lr():
    optimizer, schedule = build(plateau(), learning_rate=0.04)
    rates = rates_per_epoch(optimizer, schedule, [0.5, 0.6, 0.6, 0.6, 0.7, 0.1, 0.1, 0.1, 0.1, 0.1])
    assert rates == pytest.approx([0.04, 0.04, 0.04, 0.02, 0.02, 0.02, 0.01, 0.01, 0.01, 0.01])


def test_plateau_heeds_no_step():
    assert rates_per_step(*build(plateau(), learning_rate=0.04), 20) == [0.04] * 20


@pytest.mark.parametrize("scheduler", [one_cycle(0.3), plateau(), cosine()], ids=lambda s: s["name"])
def test_state_carries_the_schedule_over(scheduler):
    def advance(optimizer, schedule, accuracies):
        for accuracy in accuracies:
            rates_per_step(optimizer, schedule, 3)
            schedule.after_epoch(accuracy)

    optimizer, schedule = build(scheduler)
    advance(optimizer, schedule, [0.6, 0.5])
    other_optimizer, other = build(scheduler)
    other_optimizer.load_state_dict(optimizer.state_dict())
    other.load_state_dict(schedule.state_dict())
    for pair in ((optimizer, schedule), (other_optimizer, other)):
        advance(*pair, [0.5, 0.5])
    assert other_optimizer.param_groups[0]["lr"] == optimizer.param_groups[0]["lr"]


def test_weight_decay_on_matrices_and_kernels_only():
    optimizer, _ = build(plateau(), weight_decay=0.01, momentum=0.8)
    decayed, plain = optimizer.param_groups
    assert (decayed["weight_decay"], plain["weight_decay"]) == (0.01, 0.0)
    assert [p.ndim for p in decayed["params"]] == [4]
    assert [p.ndim for p in plain["params"]] == [1, 1, 1]
    assert all(group["momentum"] == 0.8 and group["nesterov"] for group in optimizer.param_groups)


def test_no_momentum_means_no_nesterov():
    optimizer, _ = build(plateau(), momentum=0.0)
    assert not optimizer.param_groups[0]["nesterov"]


def test_adamw_takes_momentum_as_its_first_beta_and_both_optimizers_are_fused():
    optimizer, _ = build(plateau(), optimizer="AdamW", momentum=0.8, weight_decay=0.01)
    assert type(optimizer) is torch.optim.AdamW
    assert all(group["betas"] == (0.8, 0.999) for group in optimizer.param_groups)
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.01, 0.0]
    for built in (optimizer, build(plateau())[0]):
        assert all(group["fused"] for group in built.param_groups)
