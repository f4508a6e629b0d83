"""Quantize to INT8 within an accuracy budget: measure the cost of each layer and leave the costliest in float.

The method is that of NNCF's accuracy control: quantize all layers; while the loss is too large, return layers to float
in the order of their cost; then quantize those again that are not needed in float.
The cost of a layer is measured with every other layer in FP32, as the mean KL divergence of the probabilities. It
ranks layers on a few hundred faces, where accuracy is too coarse.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from fer_deploy.engines.base import Engine
from fer_deploy.errors import VerificationError
from fer_deploy.export.faces import VerificationFaces
from fer_deploy.export.int8.scheme import Scheme
from fer_deploy.export.verify.compare import (
    BATCH_SIZE,
    Reference,
    breaches_of_logits,
    compare_slices,
    kl_divergence,
    run_in_batches,
)
from fer_deploy.export.verify.scores import Limits, scores_of
from fer_deploy.export.verify.slice_agreement import slice_breaches
from fer_deploy.export.verify.slices import Slice

NUM_FACES = 512
"""Number of faces for the cost of each layer."""
Make = Callable[[tuple[str, ...]], onnx.ModelProto]
"""Function from the names of the float layers to the graph."""
Open = Callable[[onnx.ModelProto], Engine]


@dataclass(frozen=True)
class LayerCost:
    """Cost of quantizing one layer alone: mean KL in nats, and accuracy in points (None without labels)."""

    layer: str
    kl: float
    accuracy_change: float | None


@dataclass(frozen=True, eq=False)
class Controlled:
    """A graph within the budget.

    Attributes:
        model: the graph.
        logits: (N, C), its logits for all faces of the reference.
        float_layers: layers in float, costliest first.
        costs: cost of each layer, costliest first.
        accuracy_changes: change in points with 0, 1, 2, ... layers in float, as far as tried.
        chosen_on: description of the faces that checked all limits. The artifact's accuracy on these faces is slightly
            too good, because they chose the layers.
    """

    model: onnx.ModelProto
    logits: NDArray[np.float32]
    float_layers: tuple[str, ...]
    costs: tuple[LayerCost, ...]
    accuracy_changes: tuple[float, ...]
    chosen_on: str

    def record(self) -> dict[str, Any]:
        """Return plain values for reports and metadata."""
        return {
            "float_layers": list(self.float_layers),
            "chosen_on": self.chosen_on,
            "accuracy_changes": [round(change, 3) for change in self.accuracy_changes],
            "layer_costs": [
                {"layer": cost.layer, "kl": cost.kl, "accuracy_change": cost.accuracy_change} for cost in self.costs
            ],
        }


def layer_costs(
    reference: Reference, layers: tuple[str, ...], make: Make, open_graph: Open, *, progress: Callable[[str], None]
) -> tuple[LayerCost, ...]:
    """Return the cost of each layer, costliest first.

    Args:
        reference: PyTorch's logits; some of its faces and slices are used.
        layers: names of the quantizable layers.
        make: function that quantizes all layers except the named ones.
        open_graph: function that returns an engine for a graph.
        progress: called with each layer before its measurement.
    """
    some = faces_for_costs(reference)
    plain = scores_of(some.logits, some.faces.labels, some.labels)
    found = []
    for layer in layers:
        progress(layer)
        with open_graph(make(tuple(name for name in layers if name != layer))) as engine:
            logits = run_in_batches(engine, some.faces.images_nchw, BATCH_SIZE)
        scores = scores_of(logits, some.faces.labels, some.labels)
        change = None if scores is None or plain is None else scores.accuracy - plain.accuracy
        found.append(LayerCost(layer, float(kl_divergence(some.logits, logits).mean()), change))
    return tuple(sorted(found, key=lambda cost: -cost.kl))


def faces_for_costs(reference: Reference) -> Reference:
    """Return the faces for ranking layers: half of them clean, half from the degraded slices.

    A layer may cost nothing on clean faces and much on dim ones. Without slices, all faces are clean.
    """
    is_labelled = reference.faces.labels is not None
    slices = [
        part
        for kind, part in reference.slices.items()
        if kind is not Slice.CLEAN and (part.faces.labels is not None) is is_labelled
    ]
    if not slices:
        return reference.subset(NUM_FACES)
    half = NUM_FACES // 2
    parts = [reference.subset(half), *(part.subset(half // len(slices)) for part in slices)]
    images = np.concatenate([part.faces.images_nchw for part in parts])
    labels = [part.faces.labels for part in parts if part.faces.labels is not None]
    faces = VerificationFaces(
        images, np.concatenate(labels) if labels else None, f"{reference.faces.source}, half degraded"
    )
    logits = np.concatenate([part.logits for part in parts])
    return Reference(faces, reference.labels, logits, reference.description)


def keep_budget(
    reference: Reference, costs: tuple[LayerCost, ...], make: Make, open_graph: Open, *, limits: Limits, scheme: Scheme
) -> Controlled:
    """Return a graph within the limits on all faces and slices, with no unnecessary float layer.

    Layers return to float in the order of their cost until accuracy, macro-F1, recall, divergence, agreement and the
    agreement on each slice are within the limits. Then each of them except the last is quantized again, the cheapest
    first, and stays quantized if the limits still hold. Other sets of layers are not tried, so a smaller one may exist.

    Raises:
        VerificationError: the limits are exceeded even with half of the layers in float.
    """
    tried: list[_Tried] = []
    for num_float in range(len(costs) // 2 + 1):
        tried.append(_try(reference, tuple(cost.layer for cost in costs[:num_float]), make, open_graph, limits))
        if not tried[-1].breaches:
            break
    else:
        raise VerificationError(_describe_excess(tried, costs, limits, scheme))
    kept = tried[-1]
    for layer in kept.float_layers[-2::-1]:
        fewer = _try(reference, tuple(n for n in kept.float_layers if n != layer), make, open_graph, limits)
        kept = kept if fewer.breaches else fewer
    changes = tuple(one.accuracy_change for one in tried)
    where = f"all {len(reference.faces):,} faces of {reference.faces.source}"
    where += f" and their slices ({', '.join(reference.slices)})" if reference.slices else ""
    return Controlled(kept.model, kept.logits, kept.float_layers, costs, changes, where)


@dataclass(frozen=True, eq=False)
class _Tried:
    float_layers: tuple[str, ...]
    model: onnx.ModelProto
    logits: NDArray[np.float32]
    accuracy_change: float
    breaches: tuple[str, ...]


def _try(reference: Reference, float_layers: tuple[str, ...], make: Make, open_graph: Open, limits: Limits) -> _Tried:
    model = make(float_layers)
    with open_graph(model) as engine:
        logits = run_in_batches(engine, reference.faces.images_nchw, BATCH_SIZE)
        breaches = breaches_of_logits(reference, logits, limits)
        if not breaches:  # slices cost as much time as all faces
            found = compare_slices(reference, engine, logits)
            breaches = tuple(slice_breaches(found, limits.min_slice_agreement))
    before, after = reference.scores(), scores_of(logits, reference.faces.labels, reference.labels)
    assert before is not None
    assert after is not None
    return _Tried(float_layers, model, logits, after.accuracy - before.accuracy, breaches)


def _describe_excess(tried: list[_Tried], costs: tuple[LayerCost, ...], limits: Limits, scheme: Scheme) -> str:
    best = max(one.accuracy_change for one in tried)
    return (
        f"INT8 for {scheme} loses {max(0.0, -best):.2f} points of accuracy at best, with up to {len(costs) // 2} of "
        f"{len(costs)} layers in float; {limits.max_accuracy_drop:g} are allowed. With the largest number in float: "
        f"{'; '.join(tried[-1].breaches)}. Fix: fine-tune with fer-train train "
        "--init CHECKPOINT and quantization_aware: true in the config, another calibration method, or looser limits: "
        "--max-accuracy-drop, or the keys of limits in a YAML file for --config"
    )
