"""Average weights over training steps (EMA) with a warm-up, based on torch's AveragedModel."""

from itertools import chain

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel


class WarmAverage(AveragedModel):
    """Exponential moving average of weights and batch-norm statistics.

    The decay rises as (1 + steps) / (10 + steps) up to `decay`, so early averages do not keep the initial weights.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        """Copy the model; `decay` from 0 to 1."""
        super().__init__(model, use_buffers=True)
        self._decay = decay

    @torch.no_grad()
    def update_parameters(self, model: nn.Module) -> None:
        """Add the current weights of the model to the average.

        AveragedModel's own method copies its counter to the device twice per step and waits each time; here the counter
        stays on the CPU and the weight is a Python number.
        """
        steps = int(self.n_averaged)
        pairs = list(zip(_tensors(self.module), _tensors(model), strict=True))
        averaged = [pair for pair in pairs if steps and pair[0].is_floating_point()]
        copied = [pair for pair in pairs if not (steps and pair[0].is_floating_point())]
        if averaged:
            weight = 1 - min((1 + steps) / (10 + steps), self._decay)
            torch._foreach_lerp_([mean for mean, _ in averaged], [value for _, value in averaged], weight)
        if copied:
            torch._foreach_copy_([mean for mean, _ in copied], [value for _, value in copied])
        self.n_averaged += 1


def _tensors(model: nn.Module) -> list[Tensor]:
    return [tensor.detach() for tensor in chain(model.parameters(), model.buffers())]
