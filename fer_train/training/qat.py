"""Quantization-aware training: simulate INT8 rounding in every Conv2d and Linear; the weights stay float32.

After Jacob et al. 2018 (arXiv 1712.05877), symmetric in weights and activations, like the Q/DQ graphs of TensorRT.

The contract with the export:

- weights: symmetric int8 per output channel (axis 0), scale = max|w| of the channel / 127. The scale follows from the
  released float weights, so it is not stored. Batch norm may be folded into the convolution first: that multiplies a
  channel's weights and its scale by the same number, and the int8 values do not change.
- inputs of each quantized layer: symmetric int8 per tensor, zero point 0, scale = r / 127, values in [-128, 127],
  where r is the moving average of the batches' max|x|. `activation_ranges` returns r by the layer's name in
  `named_modules`; the ModelSpec stores it as `quantization`. A layer without an entry stays float.
- in the graph of torch.onnx.export for such a model with the name `model`, the weight of a Conv or Gemm is the
  initializer `model.<layer>.weight`, batch norm folded; a MatMul has the layer in its `pkg.torch.onnx.name_scopes`.
- not quantized: layers in `float_layers`, outputs of layers, biases, and attention (its projections are not separate
  layers in torch's MultiheadAttention).

Usage: call `prepare_qat(model)` before creating the EMA copy and the optimizer; train; then release
`strip_qat(copy.deepcopy(model))` with `activation_ranges(model)` in its spec. Names and identity of the weights never
change. The ranges are buffers `<layer>.input_max_abs`, so they are saved, restored, averaged and copied with the
others. In train mode each batch updates the ranges; in eval mode they are frozen.
"""

import torch
from torch import Tensor, nn

from fer_train.errors import ConfigError

RANGE_BUFFER = "input_max_abs"
RANGE_MOMENTUM = 0.01
"""Share of the newest batch in the moving average of max|x|, as in torch.ao's observers."""
INT8_MIN, INT8_MAX = -128, 127
_SMALLEST_SCALE = 1e-12
"""Scale of a channel of zeros: a scale must be positive."""


class QuantizedConv2d(nn.Conv2d):
    """Convolution with input and weight rounded to int8 values; gradients pass where nothing was clipped."""

    input_max_abs: Tensor

    def forward(self, input: Tensor) -> Tensor:
        """Map (N, in_channels, H, W) as `nn.Conv2d` does."""
        out: Tensor = self._conv_forward(_quantized_input(self, input), _quantized_weight(self.weight), self.bias)
        return out


class QuantizedLinear(nn.Linear):
    """Linear layer with input and weight rounded to int8 values; gradients pass where nothing was clipped."""

    input_max_abs: Tensor

    def forward(self, input: Tensor) -> Tensor:
        """Map (..., in_features) as `nn.Linear` does."""
        return nn.functional.linear(_quantized_input(self, input), _quantized_weight(self.weight), self.bias)


Quantized = QuantizedConv2d | QuantizedLinear


def prepare_qat(model: nn.Module, *, float_layers: tuple[str, ...] = ()) -> None:
    """Make every Conv2d and Linear of the model round its input and its weight, in place.

    Args:
        model: float model on its device. Its parameters remain the same objects with the same names.
        float_layers: names of layers to leave unchanged.

    Raises:
        ConfigError: the model is already prepared, has nothing to quantize, or lacks a layer in `float_layers`.
    """
    layers = {name: layer for name, layer in model.named_modules() if type(layer) in (nn.Conv2d, nn.Linear)}
    if _quantized_layers(model):
        raise ConfigError("the model is already prepared for quantization. Fix: call prepare_qat once")
    if unknown := [name for name in float_layers if name not in layers]:
        raise ConfigError(f"float_layers names {unknown[0]!r}, which is not a Conv2d or Linear of this model")
    chosen = {name: layer for name, layer in layers.items() if name not in float_layers}
    if not chosen:
        raise ConfigError("the model has no Conv2d or Linear to quantize")
    for layer in chosen.values():
        # Another class on the same object, so parameters, hooks and references to the layer do not change.
        layer.__class__ = QuantizedConv2d if isinstance(layer, nn.Conv2d) else QuantizedLinear
        layer.register_buffer(RANGE_BUFFER, torch.zeros((), device=next(layer.parameters()).device))


def strip_qat(model: nn.Module) -> nn.Module:
    """Undo `prepare_qat` in place and return the model: float layers with the trained weights."""
    for layer in _quantized_layers(model).values():
        del layer.input_max_abs
        if isinstance(layer, nn.Conv2d):
            layer.__class__ = nn.Conv2d  # type: ignore[assignment]  # its base class, as before
        else:
            layer.__class__ = nn.Linear  # type: ignore[assignment]
    return model


def float_state_dict(model: nn.Module) -> dict[str, Tensor]:
    """Return the state dict without the ranges of `prepare_qat`, with unchanged names."""
    ranges = {f"{name}.{RANGE_BUFFER}".removeprefix(".") for name in _quantized_layers(model)}
    return {name: value for name, value in model.state_dict().items() if name not in ranges}


def activation_ranges(model: nn.Module) -> dict[str, float]:
    """Return the learned max|input| (positive) of each quantized layer by its name, for the ModelSpec.

    Raises:
        ConfigError: a layer got no training batch, or only zeros. A model that is not prepared gives an empty dict.
    """
    ranges = {name: float(layer.input_max_abs) for name, layer in _quantized_layers(model).items()}
    if unseen := [name for name, value in ranges.items() if not value > 0]:
        raise ConfigError(
            f"the input range of {len(unseen)} of {len(ranges)} quantized layers is unknown ({unseen[0]}, ...). "
            "Fix: run training batches through the model, in train mode"
        )
    return ranges


def _quantized_layers(model: nn.Module) -> dict[str, Quantized]:
    return {name: layer for name, layer in model.named_modules() if isinstance(layer, Quantized)}


def _quantized_input(layer: Quantized, x: Tensor) -> Tensor:
    """Round x to int8 steps of the layer's range; before the first training batch, of the range of x."""
    with torch.no_grad():
        batch_max = x.detach().abs().amax().float()
        known = layer.input_max_abs
        if layer.training:
            # Without waiting for the device. The optimizer skips a batch that overflowed in fp16; so does this.
            averaged = torch.where(known > 0, known.lerp(batch_max, RANGE_MOMENTUM), batch_max)
            known.copy_(torch.where(batch_max.isfinite(), averaged, known))
        scale = (torch.where(known > 0, known, batch_max) / INT8_MAX).clamp(min=_SMALLEST_SCALE)
    zero_point = torch.zeros((), dtype=torch.int32, device=x.device)
    quantized: Tensor = torch.fake_quantize_per_tensor_affine(x, scale, zero_point, INT8_MIN, INT8_MAX)
    return quantized


def _quantized_weight(weight: Tensor) -> Tensor:
    """Round each output channel of a weight (out, ...) to int8 steps of max|w| of the channel / 127."""
    with torch.no_grad():
        scale = (weight.abs().flatten(1).amax(dim=1).float() / INT8_MAX).clamp(min=_SMALLEST_SCALE)
    zero_points = torch.zeros(len(scale), dtype=torch.int32, device=weight.device)
    quantized: Tensor = torch.fake_quantize_per_channel_affine(weight, scale, zero_points, 0, INT8_MIN, INT8_MAX)
    return quantized
