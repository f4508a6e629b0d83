"""Muon optimizer: each step changes the filters of a layer by an orthogonal matrix, independent of the gradient's size.

Jordan et al. 2024 (https://kellerjordan.github.io/posts/muon), with filters as matrices after Jordan's airbench
(https://github.com/KellerJordan/cifar10-airbench). `torch.optim.Muon` accepts only matrices. This optimizer also
accepts convolutions, and updates the classifier, biases and batch norm by SGD.
"""

from typing import Any

import torch
from torch import Tensor
from torch.optim import SGD

_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
_NUM_ITERATIONS = 5


class Muon(SGD):
    """SGD whose groups with `muon_momentum` use orthogonalized updates instead of gradients.

    Such a group has parameters of two or more dimensions, and 0 as SGD's own `momentum`. Its `weight_decay` is
    decoupled: each step reduces the weights by the share `lr * weight_decay`.
    """

    def __init__(self, groups: list[dict[str, Any]], *, lr: float, dtype: torch.dtype = torch.float32) -> None:
        """Set the parameter groups, as for SGD, and the type of the matrix products, float32 or bfloat16."""
        for group in groups:
            group.setdefault("muon_momentum", None)
        # Not fused: the fused step would divide by the scale of fp16 gradients, which the updates no longer have.
        super().__init__(groups, lr=lr)
        self._dtype = dtype

    def step(self, closure: Any = None) -> Any:
        """Update all groups; the gradients of the Muon groups are overwritten."""
        for group in self.param_groups:
            if group["muon_momentum"] is not None:
                for parameter in group["params"]:
                    if parameter.grad is not None:
                        self._replace_gradient(parameter, group["muon_momentum"])
        return super().step(closure)

    @torch.no_grad()
    def _replace_gradient(self, parameter: Tensor, momentum: float) -> None:
        gradient, state = parameter.grad, self.state[parameter]
        assert gradient is not None
        if "muon_buffer" not in state:
            state["muon_buffer"] = torch.zeros_like(gradient)
        buffer = state["muon_buffer"]
        buffer.lerp_(gradient, 1 - momentum)
        ahead = torch.lerp(gradient, buffer, momentum)  # Nesterov
        matrix = ahead.reshape(len(ahead), -1)
        update = orthogonalized(matrix.to(self._dtype)) * max(1, matrix.shape[0] / matrix.shape[1]) ** 0.5
        gradient.copy_(update.reshape(gradient.shape))


def orthogonalized(matrix: Tensor) -> Tensor:
    """Return approximately U V^T of a matrix U S V^T (rows, columns), by five Newton-Schulz iterations.

    The singular values of the result are about 0.5 to 1.5: the polynomial is tuned to raise small values quickly.
    """
    a, b, c = _COEFFICIENTS
    is_tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if is_tall else matrix
    x = x / x.norm().clamp(min=1e-7)
    for _ in range(_NUM_ITERATIONS):
        gram = x @ x.T
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.T if is_tall else x
