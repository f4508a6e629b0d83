"""Check that config, model file and labels of a model folder fit together, which Triton's schema cannot check."""

from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

import onnxruntime as ort
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors
from tritonclient.grpc import model_config_pb2 as pb

from fer_deploy.artifacts import file_sha256
from fer_deploy.engines.triton.served import SHA256_KEY
from fer_deploy.errors import ArtifactError, ExportError
from fer_deploy.export.triton.config import LABELS_FILE, parse_config
from fer_deploy.manifest import BatchProfile
from fer_deploy.spec import OUTPUT_NAME, SPEC_KEY, ModelSpec, spec_from_json

MODEL_FILES = {"onnxruntime": "model.onnx", "tensorrt": "model.plan"}
_ORT_TYPES = {"tensor(uint8)": "TYPE_UINT8", "tensor(float)": "TYPE_FP32"}
_ORT_ERRORS = (
    ort_errors.Fail,
    ort_errors.InvalidArgument,
    ort_errors.InvalidGraph,
    ort_errors.InvalidProtobuf,
    ort_errors.NoModel,
    ort_errors.NoSuchFile,
    ort_errors.NotImplemented,
    ort_errors.RuntimeException,
)

_Tensor: TypeAlias = tuple[str, str, list[int]]
"""Name, Triton's data type, dims without the batch."""


def check_model_folder(folder: Path, *, profile: BatchProfile | None) -> None:
    """Check `folder`, a model of a repository; `profile` is the plan's, None for ONNX.

    Raises:
        ExportError: there are faults; the message names all of them.
    """
    try:
        config = parse_config(
            (folder / "config.pbtxt").read_text(encoding="utf-8"), where=f"{folder.name}/config.pbtxt"
        )
        faults = list(_faults(folder, config, profile))
    except (OSError, UnicodeDecodeError, ArtifactError) as err:
        faults = [str(err)]
    if faults:
        raise ExportError(f"the model folder {folder.name} is not servable: {'; '.join(faults)}")


def require_own_folder(folder: Path) -> None:
    """Check that this command wrote `folder` and nobody added files, because it will be replaced; else ExportError."""
    fix = "Fix: move it away, or write into another folder"
    try:
        config = parse_config((folder / "config.pbtxt").read_text(encoding="utf-8"), where=f"{folder}/config.pbtxt")
    except (OSError, UnicodeDecodeError, ExportError) as err:
        raise ExportError(f"{folder} is there and was not written by fer-deploy ({err}). {fix}") from err
    if SHA256_KEY not in config.parameters:
        raise ExportError(f"{folder} is there and was not written by fer-deploy (no parameter {SHA256_KEY}). {fix}")
    ours = {f"1/{MODEL_FILES.get(config.backend)}", "config.pbtxt", LABELS_FILE}
    added = [name for name in file_names(folder) if name not in ours]
    if added:
        raise ExportError(f"{folder} holds files that fer-deploy did not write: {', '.join(added)}. {fix}")


def _faults(folder: Path, config: pb.ModelConfig, profile: BatchProfile | None) -> Iterator[str]:
    if config.name != folder.name:
        yield f"the config's name is {config.name!r}, the folder's {folder.name!r}"
    for key in (SPEC_KEY, SHA256_KEY):
        if key not in config.parameters:
            yield f"no parameter {key}"
            return
    spec = spec_from_json(config.parameters[SPEC_KEY].string_value, where=f"{folder.name}/config.pbtxt")
    yield from _spec_faults(config, spec)
    yield from _label_faults(folder, config, spec)
    yield from _batch_faults(config, profile)
    yield from _file_faults(folder, config)


def _spec_faults(config: pb.ModelConfig, spec: ModelSpec) -> Iterator[str]:
    inputs, outputs = _config_tensors(config.input), _config_tensors(config.output)
    image = spec.input
    wanted_input = [(image.name, f"TYPE_{image.dtype.upper()}", [image.channels, image.height, image.width])]
    wanted_output = [(OUTPUT_NAME, "TYPE_FP32", [len(spec.labels)])]
    if inputs != wanted_input:
        yield f"input {inputs}, the ModelSpec says {wanted_input}"
    if outputs != wanted_output:
        yield f"output {outputs}, the ModelSpec says {wanted_output}"
    for sample in config.model_warmup:
        given = [(name, pb.DataType.Name(data.data_type), list(data.dims)) for name, data in sample.inputs.items()]
        if given != inputs:
            yield f"warm-up {sample.name!r} gives {given}, the input is {inputs}"


def _label_faults(folder: Path, config: pb.ModelConfig, spec: ModelSpec) -> Iterator[str]:
    named = [output.label_filename for output in config.output]
    if named != [LABELS_FILE]:
        yield f"label_filename {named}, expected {LABELS_FILE}"
    labels = (folder / LABELS_FILE).read_text(encoding="utf-8").split("\n")
    if labels != [*spec.labels, ""]:
        yield f"{LABELS_FILE} has {labels}, expected one line for each of {list(spec.labels)}"


def _batch_faults(config: pb.ModelConfig, profile: BatchProfile | None) -> Iterator[str]:
    limit = config.max_batch_size
    if limit < 1:
        yield f"max_batch_size {limit} turns batching off"
    if profile is not None and limit > profile.max:
        yield f"max_batch_size {limit} is more than the plan's profile allows ({profile.max})"
    if profile is None and config.backend == "tensorrt":
        yield "a plan without its profile"
    sizes = [("preferred", size) for size in config.dynamic_batching.preferred_batch_size]
    sizes += [("warm-up", sample.batch_size) for sample in config.model_warmup]
    yield from (
        f"{what} batch size {size} is outside of 1 to {limit}" for what, size in sizes if not 1 <= size <= limit
    )


def _file_faults(folder: Path, config: pb.ModelConfig) -> Iterator[str]:
    name = MODEL_FILES.get(config.backend)
    if name is None:
        yield f"backend {config.backend!r}, expected one of {', '.join(MODEL_FILES)}"
        return
    if config.default_model_filename != name:
        yield f"default_model_filename {config.default_model_filename!r}, the {config.backend} backend expects {name}"
    wanted, found = [f"1/{name}", "config.pbtxt", LABELS_FILE], file_names(folder)
    if found != wanted:
        yield f"files {', '.join(found)}; expected {', '.join(wanted)}"
        return
    if file_sha256(folder / "1" / name) != config.parameters[SHA256_KEY].string_value:
        yield f"1/{name} is not the file whose sha256 is in the config"
    elif config.backend == "onnxruntime":
        yield from _onnx_faults(folder / "1" / name, config)


def file_names(folder: Path) -> list[str]:
    """Return the sorted paths, relative to `folder`, of everything in it except folders."""
    return sorted(
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_symlink() or not path.is_dir()
    )


def _onnx_faults(path: Path, config: pb.ModelConfig) -> Iterator[str]:
    """Compare the config with the graph itself, not with its ModelSpec."""
    options = ort.SessionOptions()
    options.log_severity_level = 3  # errors also arrive as exceptions
    try:
        session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except _ORT_ERRORS as err:
        yield f"ONNX Runtime cannot load 1/{path.name} ({str(err).splitlines()[0][:200]})"
        return
    sides = (("input", session.get_inputs(), config.input), ("output", session.get_outputs(), config.output))
    for side, nodes, promised in sides:
        graph = [(node.name, _ORT_TYPES.get(node.type, node.type), list(node.shape[1:])) for node in nodes]
        if graph != _config_tensors(promised):
            yield f"the graph's {side} is {graph}, the config's {_config_tensors(promised)}"
        frozen = [node.shape[0] for node in nodes if isinstance(node.shape[0], int)]
        if frozen:
            yield f"the graph's {side} has its batch frozen at {frozen[0]}"


def _config_tensors(tensors: list[pb.ModelInput] | list[pb.ModelOutput]) -> list[_Tensor]:
    return [(tensor.name, pb.DataType.Name(tensor.data_type), list(tensor.dims)) for tensor in tensors]
