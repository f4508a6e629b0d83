"""The time that epochs take in relation to each other: larger images need more."""

from fer_train.config import TrainConfig

_EXPONENT = 1.5
"""Of the side. SENet's steps at 32, 40 and 48 pixels took 1, 1.3 and 1.6 times as long with bf16 on a CPU with AMX (an
exponent of 1.2); where computing rather than memory is the limit, it is 2."""


def cost_of_epochs(config: TrainConfig, num: float) -> float:
    """Return the cost of the first `num` epochs of a run; a part of an epoch counts as such a part of its cost."""
    whole = int(num)
    cost = sum(_cost(config, epoch) for epoch in range(whole))
    return cost + (num - whole) * _cost(config, whole) if num > whole else cost


def seconds_left(config: TrainConfig, done: float, *, begun: float = 0, seconds: float) -> float:
    """Return the seconds that the epochs after the first `done` will take.

    Args:
        config: of the run.
        done: epochs that are finished; may end within an epoch.
        begun: epochs that were finished when the clock began.
        seconds: that those between took.
    """
    spent = cost_of_epochs(config, done) - cost_of_epochs(config, begun)
    return seconds / spent * (cost_of_epochs(config, config.num_epochs) - cost_of_epochs(config, done))


def _cost(config: TrainConfig, epoch: int) -> float:
    return float(config.image_size_at(epoch) ** _EXPONENT)
