import pytest
import torch
import torch.nn.functional as F
from unit.fer_train.synthetic_faces import tiny_config

from fer_train.models import MODEL_NAMES, build_model
from fer_train.training.muon import Muon, orthogonalized
from fer_train.training.schedule import Schedule, build_optimizer

LEAST, MOST = 0.6, 1.3
"""Between which the iteration brings singular values that are no hundred times smaller than the largest."""


def muon_of(model, **changes):
    return build_optimizer(tiny_config(optimizer="Muon", **changes), model)


def names_by_group(model, optimizer):
    names = {id(p): name for name, p in model.named_parameters()}
    return [{names[id(p)] for p in group["params"]} for group in optimizer.param_groups]


def step_of(weight, gradients, **settings):
    """Return the weight after a step for each gradient, on settings of a Muon group."""
    parameter = torch.nn.Parameter(weight.clone())
    group = {"params": [parameter], "lr": 0.1, "weight_decay": 0.0, "muon_momentum": 0.9} | settings
    optimizer = Muon([group], lr=1.0)
    for gradient in gradients:
        parameter.grad = gradient.clone()
        optimizer.step()
    return parameter.detach()


@pytest.mark.parametrize("shape", [(8, 32), (32, 8), (16, 16)])
@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_singular_values_come_near_to_one_and_its_directions_stay(shape, scale):
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0)) + 0.1 * torch.eye(*shape)
    found = orthogonalized(matrix * scale)
    u, _, v = torch.linalg.svd(matrix, full_matrices=False)
    in_its_basis = u.T @ found @ v.T
    diagonal = in_its_basis.diagonal()
    assert diagonal.min() > LEAST
    assert diagonal.max() < MOST
    torch.testing.assert_close(in_its_basis, torch.diag(diagonal), rtol=0, atol=1e-3)


def test_no_gradient_gives_no_step():
    assert torch.equal(orthogonalized(torch.zeros(4, 8)), torch.zeros(4, 8))


def test_a_step_follows_the_direction_but_not_the_size_of_the_gradient():
    weight, gradient = torch.randn(16, 4, 3, 3), torch.randn(16, 4, 3, 3)
    small, large = (step_of(weight, [gradient * scale]) for scale in (1e-4, 1e4))
    torch.testing.assert_close(small, large, rtol=0, atol=1e-5)
    moved = (weight - large).flatten(1)
    values = torch.linalg.svdvals(moved) / 0.1
    assert values.min() > LEAST
    assert values.max() < MOST
    torch.testing.assert_close(moved, 0.1 * orthogonalized(gradient.flatten(1)), rtol=0, atol=1e-5)


def test_tall_filters_take_larger_steps():
    weight = torch.zeros(64, 4, 2, 2)
    moved = step_of(weight, [torch.randn(64, 4, 2, 2)]).flatten(1)
    assert torch.linalg.svdvals(moved).mean() / 0.1 == pytest.approx(2, rel=0.2)


def test_momentum_is_nesterovs():
    first, second = torch.randn(2, 8, 16).unbind(0)
    buffers = [0.1 * first, 0.9 * 0.1 * first + 0.1 * second]
    ahead = [0.1 * gradient + 0.9 * buffer for gradient, buffer in zip((first, second), buffers, strict=True)]
    expected = -0.1 * sum(orthogonalized(matrix) for matrix in ahead)
    torch.testing.assert_close(step_of(torch.zeros(8, 16), [first, second]), expected, rtol=0, atol=1e-5)


def test_weight_decay_is_decoupled():
    found = step_of(torch.ones(4, 8), [torch.zeros(4, 8)] * 3, weight_decay=0.5)
    torch.testing.assert_close(found, torch.full((4, 8), 0.95**3))


def test_the_layout_in_memory_plays_no_part():
    weight, gradient = torch.randn(16, 8, 3, 3), torch.randn(16, 8, 3, 3)
    dense = step_of(weight, [gradient])
    permuted = step_of(*(t.contiguous(memory_format=torch.channels_last) for t in (weight,)), [gradient])
    torch.testing.assert_close(permuted, dense, rtol=0, atol=1e-5)


def test_filters_go_to_muon_and_the_rest_to_sgd():
    model = build_model("net", num_classes=7)
    optimizer = muon_of(model, momentum=0.8, weight_decay=0.001, muon={"learning_rate": 0.03, "weight_decay": 0.2})
    decayed, plain, filters = names_by_group(model, optimizer)
    assert decayed == {"classifier.weight"}
    assert filters == {n for n, m in model.named_parameters() if m.ndim == 4}
    assert plain == {n for n, m in model.named_parameters() if m.ndim == 1}
    assert [group["lr"] for group in optimizer.param_groups] == [0.05, 0.05, 0.03]
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.001, 0.0, 0.2]
    assert [group["momentum"] for group in optimizer.param_groups] == [0.8, 0.8, 0]
    assert [group["muon_momentum"] for group in optimizer.param_groups] == [None, None, 0.95]


@pytest.mark.parametrize("name", MODEL_NAMES)
def test_every_parameter_of_every_model_is_in_one_group(name):
    model = build_model(name, num_classes=7)
    groups = names_by_group(model, muon_of(model))
    assert sorted(n for names in groups for n in names) == sorted(n for n, _ in model.named_parameters())
    assert len(groups[0]) == 1


def test_the_rest_steps_as_under_sgd():
    torch.manual_seed(0)
    model = build_model("net", num_classes=7)
    reference = build_model("net", num_classes=7)
    reference.load_state_dict(model.state_dict())
    images, labels = torch.randn(8, 1, 16, 16), torch.arange(8) % 7
    for network, optimizer in ((model, muon_of(model)), (reference, build_optimizer(tiny_config(), reference))):
        torch.manual_seed(1)
        F.cross_entropy(network(images), labels).backward()
        optimizer.step()
    torch.testing.assert_close(model.classifier.weight, reference.classifier.weight)
    torch.testing.assert_close(model.features[0][1].bias, reference.features[0][1].bias)
    assert not torch.allclose(model.features[0][0].weight, reference.features[0][0].weight)


@pytest.mark.parametrize("scheduler", [{"name": "OneCycle"}, {"name": "Cosine", "warmup_epochs": 1.0}])
def test_both_rates_follow_the_schedule(scheduler):
    model = build_model("net", num_classes=7)
    config = tiny_config(optimizer="Muon", scheduler=scheduler, learning_rate=0.1, muon={"learning_rate": 0.02})
    optimizer = build_optimizer(config, model)
    schedule, rates = Schedule(config, optimizer, steps_per_epoch=10), []
    for _ in range(29):
        rates.append([group["lr"] for group in optimizer.param_groups])
        optimizer.step()
        schedule.after_step()
    assert max(rates)[0] == pytest.approx(0.1, rel=0.02)
    assert rates[-1][0] < 0.01
    assert all(muon == pytest.approx(sgd / 5) and sgd == same for sgd, same, muon in rates)
