"""Run the PyTorch model as an Engine: the reference for all artifacts."""

from pathlib import Path
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from fer_deploy.engines.base import Device, Engine
from fer_deploy.errors import EngineError
from fer_deploy.export.checkpoint import Checkpoint, load_checkpoint
from fer_deploy.spec import ModelSpec


class DeployedGraph(nn.Module):
    """Computation of the exported graph: cast, normalization and model, from uint8 images to logits."""

    def __init__(self, model: nn.Module, spec: ModelSpec) -> None:
        super().__init__()
        self.model = model
        self.mean, self.std = spec.input.mean, spec.input.std

    def forward(self, images: Tensor) -> Tensor:
        """Map (N, 1, H, W) uint8 to logits (N, num_labels) float32."""
        logits: Tensor = self.model((images.float() - self.mean) / self.std)
        return logits


class TorchEngine(Engine):
    """Engine for a checkpoint in eager PyTorch, float32."""

    def __init__(self, graph: DeployedGraph, spec: ModelSpec, device: torch.device) -> None:
        super().__init__(spec, f"PyTorch {torch.__version__} eager, {device}, fp32")
        self._graph, self._device = graph.to(device).eval(), device

    @classmethod
    def open(cls, path: Path, *, device: Device = "auto") -> Self:
        """Load a `.safetensors` release; see `load_checkpoint` and `of` for the errors."""
        return cls.of(load_checkpoint(path), device=device)

    @classmethod
    def of(cls, checkpoint: Checkpoint, *, device: Device = "auto") -> Self:
        """Return the engine of a loaded checkpoint, which shares its model.

        Raises:
            EngineError: PyTorch does not run on this device here.
        """
        if device not in ("auto", "cpu", "cuda"):
            raise EngineError(f"PyTorch runs on cpu or cuda, not on {device}. Fix: --device cpu")
        if device == "cuda" and not torch.cuda.is_available():
            raise EngineError(f"device cuda: PyTorch {torch.__version__} finds no CUDA device. Fix: --device cpu")
        use_cuda = device == "cuda" or (device == "auto" and torch.cuda.is_available())
        graph = DeployedGraph(checkpoint.model, checkpoint.spec)
        return cls(graph, checkpoint.spec, torch.device("cuda" if use_cuda else "cpu"))

    @torch.inference_mode()
    def _run(self, images_nchw: NDArray[np.uint8]) -> NDArray[np.float32]:
        logits = self._graph(torch.from_numpy(np.require(images_nchw, requirements="W")).to(self._device))
        return np.asarray(logits.cpu().numpy(), dtype=np.float32)
