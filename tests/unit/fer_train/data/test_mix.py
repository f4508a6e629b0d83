import pytest
import torch

from fer_train.config import MixConfig
from fer_train.data.mix import Mixer

N, SIDE = 6, 16
PARTNERS = torch.tensor([1, 2, 3, 4, 5, 0])


@pytest.fixture
def images():
    return torch.arange(1.0, N + 1).view(N, 1, 1, 1).expand(N, 1, SIDE, SIDE).clone()


@pytest.fixture
def targets():
    return torch.eye(N)


def mixer(seed=0, **changes):
    return Mixer(MixConfig(**({"probability": 1.0} | changes)), seed)


def test_mixup_blends_faces_and_answers_in_the_same_share(images, targets):
    mixed, answers, twice = mixer(mixup_alpha=1.0)(images, PARTNERS, targets, 2 * targets)
    share = answers[0, 0]
    assert 0 < share < 1
    torch.testing.assert_close(mixed, share * images + (1 - share) * images[PARTNERS])
    torch.testing.assert_close(answers, share * targets + (1 - share) * targets[PARTNERS])
    torch.testing.assert_close(twice, 2 * answers)


@pytest.mark.parametrize("seed", range(8))
def test_cutmix_pastes_one_box_of_the_partner_and_weighs_by_its_area(images, targets, seed):
    mixed, answers = mixer(seed, cutmix_alpha=1.0)(images, PARTNERS, targets)
    pasted = mixed[0, 0] == images[1, 0]
    assert torch.equal(pasted | (mixed[0, 0] == images[0, 0]), torch.ones(SIDE, SIDE, dtype=torch.bool))
    assert float(answers[0, 1]) == pytest.approx(float(pasted.float().mean()))
    rows, columns = pasted.any(1).nonzero().flatten(), pasted.any(0).nonzero().flatten()
    assert pasted.sum() == len(rows) * len(columns)


def test_a_pasted_box_is_never_mixed_in_the_batch_it_came_from(images, targets):
    before = images.clone()
    mixer(cutmix_alpha=1.0)(images, PARTNERS, targets)
    assert torch.equal(images, before)


def test_answers_of_each_face_still_sum_to_what_they_did(images, targets):
    for seed in range(20):
        _, answers = mixer(seed, mixup_alpha=0.2, cutmix_alpha=1.0)(images, PARTNERS, targets)
        torch.testing.assert_close(answers.sum(1), torch.ones(N))
        assert (answers >= 0).all()


def kinds_of(count, images, targets, **changes):
    """Return for each of `count` batches what was done: "none", "mixup" or "cutmix"."""
    mix, kinds = mixer(**changes), []
    for _ in range(count):
        mixed, answers = mix(images, PARTNERS, targets)
        if torch.equal(answers, targets):
            kinds.append("none")
        else:
            kinds.append("cutmix" if torch.isin(mixed[0], images[:2]).all() else "mixup")
    return kinds


def test_probability_is_the_share_of_the_batches(images, targets):
    kinds = kinds_of(400, images, targets, mixup_alpha=1.0, probability=0.25)
    assert kinds.count("mixup") / 400 == pytest.approx(0.25, abs=0.08)
    assert set(kinds) == {"mixup", "none"}


def test_with_both_each_batch_draws_one(images, targets):
    kinds = kinds_of(400, images, targets, mixup_alpha=1.0, cutmix_alpha=1.0)
    assert kinds.count("mixup") / 400 == pytest.approx(0.5, abs=0.1)
    assert kinds.count("cutmix") / 400 == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize(("alpha", "spread"), [(0.2, 0.42), (1.0, 0.29), (8.0, 0.12)])
def test_the_share_is_of_the_beta_distribution(images, targets, alpha, spread):
    mix = mixer(mixup_alpha=alpha)
    shares = torch.stack([mix(images, PARTNERS, targets)[1][0, 0] for _ in range(600)])
    assert float(shares.mean()) == pytest.approx(0.5, abs=0.06)
    assert float(shares.std()) == pytest.approx(spread, abs=0.03)  # sqrt(1 / (4 (2 alpha + 1)))


def test_smallest_alpha_gives_whole_faces_and_no_nan(images, targets):
    for seed in range(20):
        mixed, answers = mixer(seed, mixup_alpha=1e-6)(images, PARTNERS, targets)
        assert mixed.isfinite().all()
        assert answers.isfinite().all()


def test_chance_is_the_seeds_alone(images, targets):
    torch.manual_seed(1)
    first = mixer(3, mixup_alpha=1.0)(images, PARTNERS, targets)[1]
    torch.manual_seed(2)
    assert torch.equal(mixer(3, mixup_alpha=1.0)(images, PARTNERS, targets)[1], first)
    assert not torch.equal(mixer(4, mixup_alpha=1.0)(images, PARTNERS, targets)[1], first)
