"""Compile an ONNX model with the parser and builder of either TensorRT flavor. Writes no file and no manifest."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fer_deploy.errors import ConfigError, ExportError
from fer_deploy.export.graph.source import OnnxFile
from fer_deploy.export.plan.config import BuildConfig
from fer_deploy.export.plan.log import BuildLog, without_driver_noise
from fer_deploy.export.plan.precision_proof import LayerTypes, precision_of, require_declared, types_of_network
from fer_deploy.flavors import Flavor
from fer_deploy.manifest import ShapeRange
from fer_deploy.spec import Precision

_TURING = "7.5"
_MIB = 1024 * 1024
_NUM_FAULTS = 3


@dataclass(frozen=True)
class Compiled:
    """A plan, the types and precision of its network, and the timing cache, if requested."""

    plan: bytes
    network: LayerTypes
    precision: Precision
    timing_cache: bytes | None


def choose_capabilities(trt: Any, config: BuildConfig) -> tuple[str, ...]:
    """Return the compute capabilities to compile for; () if the flavor compiles for the local GPU.

    The default is all that TensorRT for RTX offers except 7.5: for 7.5 it refuses FP32 matrix products and compiles
    INT8 convolutions to half, and one such target affects the whole plan (measured with 1.7.1.116).

    Raises:
        ConfigError: this version does not offer one of them.
    """
    if config.flavor is not Flavor.TENSORRT_RTX:
        return ()
    offered = {_text_from_name(name) for name in trt.ComputeCapability.__members__ if name.startswith("SM")}
    unknown = [capability for capability in config.compute_capabilities if capability not in offered]
    if unknown:
        raise ConfigError(
            f"compute_capabilities: TensorRT for RTX {trt.__version__} does not compile for {', '.join(unknown)}, "
            f"but for {', '.join(sorted(offered, key=float))}. Fix: --flavor tensorrt, on such a GPU"
        )
    return config.compute_capabilities or tuple(sorted(offered - {_TURING}, key=float))


def compile_plan(
    trt: Any,
    source: OnnxFile,
    shapes: Mapping[str, ShapeRange],
    config: BuildConfig,
    capabilities: tuple[str, ...],
    log: BuildLog,
) -> Compiled:
    """Parse the graph, compare its precision with the ModelSpec, if any, and build the plan.

    Raises:
        ExportError: the builder does not start, the parser or the builder refuse the graph, or its precision is not the
            declared one.
        ConfigError: the timing cache is of another version or GPU.
    """
    try:
        builder = trt.Builder(log.logger)
    except (TypeError, RuntimeError) as err:  # TypeError: pybind11's error for a null pointer
        raise ExportError(
            f"{config.flavor.display_name} {trt.__version__} does not start: {log.cause()}. Fix: build where "
            "nvidia-smi lists a GPU, or --flavor tensorrt-rtx, which needs none"
        ) from err
    # TensorRT 11 has only such networks and ignores the flag; 10 would choose its own types without it.
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, log.logger)  # owns the weights: must outlive the build
    if not parser.parse(source.content):
        raise ExportError(
            f"{config.flavor.display_name} {trt.__version__} cannot parse {source.name}: {_faults(parser)}. "
            f"Fix: {source.fix}"
        )
    types = types_of_network(trt, network)
    precision = _proved(source, types)
    builder_config = _builder_config(trt, builder, shapes, config, log)
    if config.flavor is Flavor.TENSORRT_RTX:
        _set_capabilities(trt, builder_config, capabilities)
        # Otherwise a context may allocate during a run, and such a run cannot be captured as a CUDA graph.
        builder_config.set_flag(trt.BuilderFlag.REQUIRE_USER_ALLOCATION)
    if config.timing_cache is not None:
        _load_timing_cache(builder_config, config.timing_cache)
    plan = builder.build_serialized_network(network, builder_config)
    if log.failure is not None:
        raise log.failure
    if plan is None:
        raise ExportError(_describe_failure(trt, source, config, capabilities, log))
    timing_cache = None if config.timing_cache is None else _store_timing_cache(builder_config)
    return Compiled(bytes(plan), types, precision, timing_cache)


def _proved(source: OnnxFile, types: LayerTypes) -> Precision:
    """Return the declared precision after comparing it with the network, or the network's if none is declared."""
    if source.declared is None:
        return precision_of(types, where=source.name, fix=source.fix)
    where = f"{source.claimant}{source.name}"
    fix = "export the checkpoint again, or build its model of another precision"
    require_declared(types, source.declared, where=where, fix=fix)
    return source.declared


def _builder_config(
    trt: Any, builder: Any, shapes: Mapping[str, ShapeRange], config: BuildConfig, log: BuildLog
) -> Any:
    builder_config = builder.create_builder_config()
    builder_config.progress_monitor = log.monitor
    builder_config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED  # otherwise the inspector shows no types
    builder_config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, config.workspace_mib * _MIB)
    if not config.tf32:
        builder_config.clear_flag(trt.BuilderFlag.TF32)  # on by default
    if (
        config.flavor is Flavor.TENSORRT
    ):  # the other flavor ignores the level with a warning, and lacks the lean runtime
        levels = {
            "none": trt.HardwareCompatibilityLevel.NONE,
            "same_compute_capability": trt.HardwareCompatibilityLevel.SAME_COMPUTE_CAPABILITY,
            "ampere_plus": trt.HardwareCompatibilityLevel.AMPERE_PLUS,
        }
        builder_config.hardware_compatibility_level = levels[config.hardware_compatibility]
        if config.version_compatible:
            builder_config.set_flag(trt.BuilderFlag.VERSION_COMPATIBLE)
    optimization = builder.create_optimization_profile()
    for name, wanted in shapes.items():
        optimization.set_shape(name, wanted.min, wanted.opt, wanted.max)
    builder_config.add_optimization_profile(optimization)
    return builder_config


def _set_capabilities(trt: Any, builder_config: Any, capabilities: tuple[str, ...]) -> None:
    builder_config.num_compute_capabilities = len(capabilities)
    for index, capability in enumerate(capabilities):
        member = trt.ComputeCapability.__members__["SM" + capability.replace(".", "")]
        builder_config.set_compute_capability(member, index)


def _load_timing_cache(builder_config: Any, path: Path) -> None:
    try:
        content = path.read_bytes() if path.exists() else b""
    except OSError as err:
        raise ConfigError(f"timing_cache: cannot read {path}: {err.strerror or err}. Fix: another path") from err
    timing_cache = builder_config.create_timing_cache(content)
    if timing_cache is None or not builder_config.set_timing_cache(timing_cache, ignore_mismatch=False):
        raise ConfigError(f"timing_cache: {path} is of another TensorRT or GPU. Fix: delete it, or another path")


def _store_timing_cache(builder_config: Any) -> bytes:
    timing_cache = builder_config.get_timing_cache()
    return bytes(timing_cache.serialize())


def _faults(parser: Any) -> str:
    faults = [parser.get_error(index) for index in range(parser.num_errors)]
    return " | ".join(_fault(fault) for fault in faults[:_NUM_FAULTS]) or "no reason was given"


def _fault(fault: Any) -> str:
    """Return a text such as "node 4 'my_det' (Det): unsupported node: ..."; the index -1 means no node."""
    code = str(fault.code().name).replace("_", " ").lower()
    reason = without_driver_noise(fault.desc())
    reason = "the parser does not know this operator" if reason == "false" else reason
    place = f"node {fault.node()} {fault.node_name()!r} ({fault.node_operator()}): " if fault.node() >= 0 else ""
    return f"{place}{code}: {reason}"


def _describe_failure(
    trt: Any, source: OnnxFile, config: BuildConfig, capabilities: tuple[str, ...], log: BuildLog
) -> str:
    cause = log.cause()
    errors = "\n".join(log.errors).lower()
    fix = "the builder log says more; fer-deploy build prints it below"
    if "outofmemory" in errors or "workspace" in errors:
        fix = f"a larger --workspace-mib (now {config.workspace_mib})"
    elif _TURING in capabilities:
        fix = f"leave {_TURING} out of --compute-capability, or build the FP16 model for it"
    where = f" for {', '.join(capabilities)}" if capabilities else ""
    return f"{config.flavor.display_name} {trt.__version__} cannot build {source.name}{where}: {cause}. Fix: {fix}"


def _text_from_name(name: str) -> str:
    """Return "12.0" for "SM120"."""
    return f"{name[2:-1]}.{name[-1]}"
