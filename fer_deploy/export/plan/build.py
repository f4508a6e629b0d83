"""Build a plan and its manifest from an ONNX file, and prove the precision before publishing them."""

import hashlib
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from fer_deploy.environment import survey
from fer_deploy.errors import ConfigError, ExportError, FerDeployError
from fer_deploy.export.graph.source import OnnxFile, read_network, read_onnx
from fer_deploy.export.measured import inherited_by_plan
from fer_deploy.export.plan.builder import Compiled, choose_capabilities, compile_plan
from fer_deploy.export.plan.config import BuildConfig
from fer_deploy.export.plan.contract import contract_of, require_shapes
from fer_deploy.export.plan.log import BuildLog, Progress
from fer_deploy.export.plan.module import load_tensorrt
from fer_deploy.export.plan.precision_proof import (
    LayerTypes,
    proof_of,
    require_kept,
    targets_of_plan,
    types_of_inspector,
    types_of_plan,
)
from fer_deploy.export.publish import write_together
from fer_deploy.flavors import Flavor
from fer_deploy.manifest import (
    NetworkManifest,
    PlanFacts,
    PlanManifest,
    PlanTarget,
    PrecisionProof,
    ShapeRange,
    manifest_json,
    manifest_path,
)
from fer_deploy.spec import Precision

_SUFFIX = ".plan"


@dataclass(frozen=True)
class _Built:
    """A proved plan. `facts` are the fields that all manifests share, by name."""

    compiled: Compiled
    facts: dict[str, Any]


def build_plan(onnx: Path, out: Path, config: BuildConfig, *, progress: Progress | None = None) -> PlanManifest:
    """Write the plan `out` and its manifest `<out>.json`; on any failure older files stay unchanged.

    Args:
        onnx: a self-contained model with a ModelSpec; its graph defines the precision.
        out: path that ends in `.plan`.
        config: flavor, batch sizes, targets.
        progress: called with phase, steps done and total steps, from the builder's threads. An exception in it cancels
            the build and is raised here.

    Raises:
        ConfigError: this flavor or version lacks an option, or the suffix is wrong.
        MissingDependencyError: the flavor is not installed.
        ArtifactError: the ONNX file cannot be used.
        ExportError: parser or builder refuse the file, its precision is not the declared one or got lost, or `out` is
            not writable. The builder's log is attached as a note.
    """
    if config.input_shapes:
        raise ConfigError(f"input_shapes: {onnx} is built as an emotion model. Fix: profile sets its batch sizes")
    require_suffix(out)
    source = read_onnx(onnx)
    image, batches = source.spec.input, config.profile
    sides = (image.channels, image.height, image.width)
    shapes = {image.name: ShapeRange(min=(batches.min, *sides), opt=(batches.opt, *sides), max=(batches.max, *sides))}
    built = _build(source, shapes, config, progress)
    manifest = PlanManifest(spec=inherited_by_plan(source.spec), profile=config.profile, **built.facts)
    _write(out, built, manifest, config)
    return manifest


def build_network_plan(
    onnx: Path, out: Path, config: BuildConfig, *, progress: Progress | None = None
) -> NetworkManifest:
    """Write the plan of a network without ModelSpec and its manifest; arguments and errors as for `build_plan`.

    `config.input_shapes` sets the shapes of each input. The precision is that of the graph.

    Raises:
        ConfigError: also if the graph does not accept the shapes.
        ArtifactError: also if the file has a ModelSpec, or tensors of an unsupported type.
    """
    require_suffix(out)
    source = read_network(onnx)
    require_shapes(source, config.input_shapes)
    contract_of(source, config.input_shapes, Precision.FP32)  # refuse unsupported tensors before the build
    built = _build(source, config.input_shapes, config, progress)
    network = contract_of(source, config.input_shapes, built.compiled.precision)
    manifest = NetworkManifest(network=network, **built.facts)
    _write(out, built, manifest, config)
    return manifest


def require_suffix(out: Path) -> None:
    """Check the name of a plan.

    Raises:
        ConfigError: it does not end in .plan.
    """
    if out.suffix != _SUFFIX:
        raise ConfigError(f"out: {out.name} must end in {_SUFFIX}. Fix: --out {out.with_suffix(_SUFFIX)}")


def _build(
    source: OnnxFile, shapes: Mapping[str, ShapeRange], config: BuildConfig, progress: Progress | None
) -> _Built:
    trt = load_tensorrt(config.flavor)
    capabilities = choose_capabilities(trt, config)
    log = BuildLog(trt, progress)
    try:
        try:
            compiled, proof = _compile_and_prove(trt, source, shapes, config, capabilities, log)
        except _NotKeptError:
            if config.flavor is not Flavor.TENSORRT_RTX:
                raise
            # TensorRT for RTX 1.7.1 keeps limits of a failed build for 7.5 and applies them to the next build in the
            # same process (INT8 becomes half); the build after that is correct.
            compiled, proof = _compile_and_prove(trt, source, shapes, config, capabilities, log)
    except FerDeployError as err:
        err.add_note(log.text())
        raise
    facts = {
        "plan_sha256": hashlib.sha256(compiled.plan).hexdigest(),
        "plan_bytes": len(compiled.plan),
        "flavor": config.flavor,
        "version": trt.__version__,
        "version_compatible": config.version_compatible,
        "needs_host_code": config.version_compatible,
        "target": _find_target(config, capabilities),
        "precision_proof": proof,
        "source_onnx": source.name,
        "source_onnx_sha256": source.sha256,
    }
    return _Built(compiled, facts)


def _write(out: Path, built: _Built, manifest: PlanFacts, config: BuildConfig) -> None:
    if config.timing_cache is not None and built.compiled.timing_cache is not None:
        write_together({config.timing_cache: built.compiled.timing_cache}, flag="--timing-cache")
    write_together({out: built.compiled.plan, manifest_path(out): manifest_json(manifest).encode()})


class _NotKeptError(ExportError):
    """The plan differs from its network or its targets."""


def _compile_and_prove(
    trt: Any,
    source: OnnxFile,
    shapes: Mapping[str, ShapeRange],
    config: BuildConfig,
    capabilities: tuple[str, ...],
    log: BuildLog,
) -> tuple[Compiled, PrecisionProof]:
    compiled = compile_plan(trt, source, shapes, config, capabilities, log)
    where = f"{config.flavor.display_name} {trt.__version__} built {source.name} with another precision"
    fix = (
        "leave 7.5 out of --compute-capability"
        if "7.5" in capabilities
        else (f"another version of {config.flavor.display_name}, or run {source.name} as it is")
    )
    if config.flavor is Flavor.TENSORRT:
        found, proof_source = _inspect(trt, compiled.plan, shapes, config, log), "inspector"
    else:
        found, proof_source = types_of_plan(compiled.plan), "plan"
        targets = targets_of_plan(compiled.plan)
        if targets is not None and set(targets) != set(capabilities):
            raise _NotKeptError(f"requested {', '.join(capabilities)}, built for {', '.join(targets)}. Fix: {fix}")
    if found is None:
        return compiled, proof_of(compiled.network, "network")
    try:
        require_kept(found, compiled.network, where=where, fix=fix)
    except ExportError as err:
        raise _NotKeptError(str(err)) from err
    return compiled, proof_of(found, proof_source)


def _inspect(
    trt: Any, plan: bytes, shapes: Mapping[str, ShapeRange], config: BuildConfig, log: BuildLog
) -> LayerTypes | None:
    """Load the plan on the GPU that built it and return its types; None if the inspector shows no types."""
    runtime = trt.Runtime(log.logger)
    runtime.engine_host_code_allowed = config.version_compatible  # our own lean runtime, from this build
    engine = runtime.deserialize_cuda_engine(plan)
    context = None if engine is None else engine.create_execution_context()
    if context is None:
        raise ExportError(f"TensorRT cannot load the plan that it just built: {log.cause()}. Fix: see the builder log")
    for name, wanted in shapes.items():
        context.set_input_shape(name, wanted.opt)  # without a shape, types are "N/A due to dynamic shapes"
    inspector = engine.create_engine_inspector()
    inspector.execution_context = context
    return types_of_inspector(inspector.get_engine_information(trt.LayerInformationFormat.JSON))


def _find_target(config: BuildConfig, capabilities: tuple[str, ...]) -> PlanTarget:
    machine, cuda = platform.machine(), _cuda_of(config.flavor)
    if config.flavor is Flavor.TENSORRT_RTX:  # Linux and Windows load the same plan
        return PlanTarget(compute_capabilities=capabilities, os="any", machine=machine, cuda=cuda)
    environment = survey()
    if not environment.host.gpus:
        raise ExportError("the GPU of the plan is unknown: nvidia-smi lists none. Fix: install nvidia-smi")
    gpu = environment.host.gpus[0]
    return PlanTarget(
        compute_capabilities=(gpu.compute_capability,),
        hardware_compatibility=config.hardware_compatibility,
        os=platform.system().lower(),
        machine=machine,
        gpu=gpu.name,
        driver=environment.driver,
        cuda=cuda,
    )


def _cuda_of(flavor: Flavor) -> str | None:
    """Return the CUDA major version of the flavor's wheels, from their name; None: not installed by pip."""
    for major in ("13", "12"):
        try:
            metadata.version(f"{flavor.module}_cu{major}")
        except metadata.PackageNotFoundError:
            continue
        return major
    return None
