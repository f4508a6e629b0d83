"""Where the time of a model goes: time by layer, and by operator."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from fer_deploy.bench.agreement import drawn_images
from fer_deploy.bench.folder import INT8_FOR_TENSORRT, PLAN, read_artifact
from fer_deploy.bench.statistics import percentile
from fer_deploy.engines.base import Device
from fer_deploy.engines.layer_profile import LayerProfile, LayerSample
from fer_deploy.errors import MissingDependencyError

FORMAT: Final = "fer-layers-1"


@dataclass(frozen=True)
class Layer:
    """One layer, or all layers of one operator.

    Attributes:
        name: in the runtime; a fused layer has the name of one of its nodes.
        operator: such as "Conv"; empty: the runtime does not tell it.
        ms: median over the calls.
        share: of the time of all layers, 0 to 1.
    """

    name: str
    operator: str
    ms: float
    share: float


@dataclass(frozen=True)
class LayerTimes:
    """Times of a model's layers.

    Attributes:
        file: name of the model.
        engine: description of the runtime.
        batch: images a call.
        num_calls: calls that the times are medians of.
        call_ms: median time of a call, with the profile switched on.
        layers: the slowest first.
    """

    file: str
    engine: str
    batch: int
    num_calls: int
    call_ms: float
    layers: tuple[Layer, ...]

    @property
    def layers_ms(self) -> float:
        """Sum of the medians of all layers."""
        return sum(layer.ms for layer in self.layers)

    def top(self, num: int) -> tuple[Layer, ...]:
        """Return the `num` slowest layers, and one layer for all others, if there are any."""
        rest = self.layers[num:]
        if not rest:
            return self.layers
        others = Layer(f"{len(rest)} others", "", sum(one.ms for one in rest), sum(one.share for one in rest))
        return (*self.layers[:num], others)

    def by_operator(self) -> tuple[Layer, ...]:
        """Return the sum of the layers of each operator, the slowest first; the name tells how many there are."""
        groups: dict[str, list[Layer]] = defaultdict(list)
        for layer in self.layers:
            groups[layer.operator].append(layer)
        sums = [
            Layer(f"{len(ones)} layers", operator, sum(one.ms for one in ones), sum(one.share for one in ones))
            for operator, ones in groups.items()
        ]
        return tuple(sorted(sums, key=lambda one: -one.ms))

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {"format": FORMAT, **asdict(self), "layers_ms": self.layers_ms}


def measure_layers(
    path: Path, *, batch: int = 1, device: Device = "auto", threads: int | None = None, calls: int = 50
) -> LayerTimes:
    """Run a model on drawn faces and return the time of each layer.

    Args:
        path: .onnx or .plan of an emotion model.
        batch: images a call.
        device: as of `open_engine`; a plan runs on the GPU.
        threads: of ONNX Runtime's CPU provider; None: every core.
        calls: calls that are measured, after a warm-up.

    Raises:
        FerDeployError: as of `open_engine`.
    """
    artifact = read_artifact(path)
    images = drawn_images(artifact.spec.input, batch)
    module, what = ("onnxruntime", "cpu") if artifact.kind != PLAN else ("tensorrt", "tensorrt")
    try:
        profile = import_module(f"fer_deploy.engines.{module}.profile")
    except ModuleNotFoundError as err:
        raise MissingDependencyError(
            f"cannot measure {path}: {err.name} is not installed. Fix: pip install 'fer-toolchain[{what}]'"
        ) from err
    if artifact.kind == PLAN:
        found: LayerProfile = profile.profile_plan(path, images, calls=calls)
    else:
        optimized = artifact.kind != INT8_FOR_TENSORRT
        found = profile.profile_onnx(path, images, device=device, threads=threads, optimized=optimized, calls=calls)
    return LayerTimes(path.name, found.engine, batch, calls, percentile(found.call_ms, 50), layers_of(found))


def layers_of(profile: LayerProfile) -> tuple[Layer, ...]:
    """Return the median time of each layer, the slowest first. A name that a call has several times counts as one."""
    names = list(dict.fromkeys(sample.name for call in profile.calls for sample in call))
    operators = {sample.name: sample.operator for call in profile.calls for sample in call}
    by_call = [_sums(call) for call in profile.calls]
    medians = {name: percentile([times.get(name, 0.0) for times in by_call], 50) for name in names}
    total = sum(medians.values())
    layers = [Layer(name, operators[name], ms, ms / total if total else 0.0) for name, ms in medians.items()]
    return tuple(sorted(layers, key=lambda layer: -layer.ms))


def _sums(call: Sequence[LayerSample]) -> dict[str, float]:
    sums: dict[str, float] = defaultdict(float)
    for sample in call:
        sums[sample.name] += sample.ms
    return sums


def lines_of(layers: Sequence[Layer]) -> list[str]:
    """Return a line for each layer: time, share, operator, name."""
    width = max((len(layer.operator) for layer in layers), default=0)
    return [f"{layer.ms:9.4f} ms {layer.share:6.1%}  {layer.operator:{width}}  {layer.name}" for layer in layers]
