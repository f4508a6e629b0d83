"""Write and read two kinds of file: `last.pt` resumes a run exactly; `.safetensors` is the release that others load.

A release carries its ModelSpec as JSON in the safetensors metadata under `SPEC_KEY`; `fer_deploy.spec` reads it.
Every write is atomic: a temporary file beside the target, flushed to disk, then renamed.
"""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import nn

from fer_train.data.label_columns import load_aligned
from fer_train.errors import CheckpointError, ConfigError
from fer_train.files.durable import write_atomically, write_content
from fer_train.label_names import in_known_order
from fer_train.models import build_model
from fer_train.privacy.portable_paths import without_folders
from fer_train.weights_file.spec import parse_spec
from fer_train.weights_file.tensors import TensorFile, check_outline, find_bad_value

SPEC_KEY = "fer_model_spec"
_STATE_FORMAT = "fer-train-state-1"
_START_AGAIN = "Fix: a backup of it; or start a new run, without --resume and in another --out"
_GET_AGAIN = "Fix: copy or download it again, or create it again: fer-train train, or fer-train release"
_A_RELEASE = "a .safetensors file that fer-train train or fer-train release wrote"
_STATE_HEAD = 4096
"""A training state names its format within this many bytes."""
_MAX_HEADER = 100_000_000
"""Largest JSON header in bytes that the safetensors library accepts."""
_ZIP, _PICKLE = b"PK\x03\x04", b"\x80\x02"
"""First bytes of a torch.save file, today and before 2020."""
_MAGIC = {
    b"\x89HDF": "an HDF5 file, as Keras writes it",
    b"GGUF": "a GGUF file",
    b"<": "a web page or XML",
    b"version https:": "a pointer of Git LFS (git lfs pull fetches the file)",
}
_SUFFIXES = {".onnx": "an ONNX model", ".plan": "a TensorRT plan", ".engine": "a TensorRT plan", ".json": "JSON"}


def save_state(path: Path, state: dict[str, Any]) -> None:
    """Write a resumable state: tensors and plain values only, so that it loads with `weights_only=True`."""
    write_atomically(path, lambda temporary: torch.save({"format": _STATE_FORMAT, **state}, temporary))


def load_state(path: Path, *, mmap: bool = False) -> dict[str, Any]:
    """Load a state of `save_state` onto the CPU.

    Args:
        path: file of the state.
        mmap: whether to map the tensors from the file instead of reading them, for callers that need only plain values.

    Raises:
        CheckpointError: the file is missing, truncated, or not a state of this project.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True, mmap=mmap)
    except FileNotFoundError as err:
        raise CheckpointError(f"no checkpoint to resume at {path}. Fix: leave --resume out to start a new run") from err
    except Exception as err:  # torch.load raises many types, depending on which part is damaged
        raise CheckpointError(
            f"cannot load {path}: truncated or not a training state ({_first_line(err)}). {_START_AGAIN}"
        ) from err
    if not isinstance(state, dict) or state.get("format") != _STATE_FORMAT:
        raise CheckpointError(f"{path} is a PyTorch file but not a training state of fer-train. {_START_AGAIN}")
    return state


def save_release(path: Path, model: nn.Module, spec: dict[str, Any], dtype: torch.dtype = torch.float32) -> None:
    """Write weights and batch-norm statistics as safetensors in `dtype`, with the ModelSpec as metadata.

    The provenance, including that of older releases inside it, holds file names instead of paths.
    """
    if "provenance" in spec:
        spec = spec | {"provenance": without_folders(spec["provenance"])}
    tensors = {
        name: value.detach().to("cpu", dtype if value.is_floating_point() else value.dtype).contiguous()
        for name, value in model.state_dict().items()
    }
    content = save(tensors, metadata={SPEC_KEY: json.dumps(spec)})
    write_content(path, content)


def read_spec_json(path: Path) -> str:
    """Return the ModelSpec of a release as JSON, without reading its weights.

    Raises:
        CheckpointError: the file is missing, truncated, or not released by this project.
    """
    with _open_release(path) as file:
        return _spec_json(path, file)


def load_release(path: Path) -> tuple[nn.Module, dict[str, Any]]:
    """Build the model of a release with its float32 weights, in eval mode, on the CPU.

    All code loads checkpoints through this function, which checks them: the ModelSpec before the model is built,
    the names, shapes and types of the tensors before they are read, and all values before they are used. The labels,
    and the rows of the classifier with them, are sorted into the order of `FERPLUS_EMOTIONS`.

    Returns:
        The model and its ModelSpec as a dict.

    Raises:
        CheckpointError: the file is missing, truncated or foreign; its weights do not fit the architecture in the
            ModelSpec; or a value is not finite.
    """
    with _open_release(path) as file:
        try:
            spec = parse_spec(_spec_json(path, file))
            model = build_model(spec["architecture"], num_classes=len(spec["labels"]))
            wanted = model.state_dict()
            check_outline(file, wanted)
            tensors = {name: file.get_tensor(name).to(value.dtype) for name, value in wanted.items()}
        except (ValueError, TypeError, RuntimeError, ConfigError) as err:  # not a SafetensorError
            what = _first_line(err).split(". Fix:")[0]
            raise CheckpointError(
                f"{path}: weights and ModelSpec do not fit each other ({what}). {_GET_AGAIN}"
            ) from err
        except SafetensorError as err:
            raise CheckpointError(f"cannot load {path}: truncated ({_first_line(err)}). {_GET_AGAIN}") from err
    if fault := find_bad_value(tensors):
        raise CheckpointError(f"{path}: {fault}. Fix: another checkpoint; train again with a lower learning_rate")
    names, spec["labels"] = spec["labels"], in_known_order(spec["labels"])
    load_aligned(model, tensors, names, spec["labels"])
    return model.eval(), spec


@contextlib.contextmanager
def _open_release(path: Path) -> Iterator[TensorFile]:
    """Open a safetensors file for reading.

    Raises:
        CheckpointError: the file is missing, damaged or of another kind.
    """
    if kind := _foreign_kind(path):
        raise CheckpointError(kind)
    try:
        file = safe_open(path, framework="pt")
    except FileNotFoundError as err:
        raise CheckpointError(f"no checkpoint at {path}. Fix: fer-train train, or use weights/net.safetensors") from err
    except (OSError, SafetensorError, TypeError, RuntimeError) as err:  # torch refuses shapes and sizes of its own
        raise CheckpointError(
            f"cannot load {path}: truncated or not a safetensors file ({_first_line(err)}). {_GET_AGAIN}"
        ) from err
    with file as opened:
        yield opened


def _spec_json(path: Path, file: TensorFile) -> str:
    text = (file.metadata() or {}).get(SPEC_KEY)
    if text is None:
        raise CheckpointError(
            f"{path} is a safetensors file without a ModelSpec; it was not released by fer-train. {_GET_AGAIN}"
        )
    return text


def _foreign_kind(path: Path) -> str:
    """Return the error message, with its Fix, for a file that is clearly not a release; else an empty string."""
    if path.is_dir():
        inside = [path / name for name in ("best.safetensors", "final.safetensors") if (path / name).exists()]
        return f"{path} is a folder. Fix: {inside[0] if inside else 'a .safetensors file in it'}"
    try:
        with path.open("rb") as file:
            start = file.read(_STATE_HEAD)
    except OSError:  # reported when the file is opened for reading
        return ""
    if start[8:9] == b"{" and int.from_bytes(start[:8], "little") <= _MAX_HEADER:  # a release under another name
        return ""
    is_torch = start.startswith((_ZIP, _PICKLE))
    if _STATE_FORMAT.encode() in start or (path.suffix == ".pt" and not is_torch):
        return (
            f"{path} is a training state, for --resume; released weights are .safetensors. "
            f"Fix: {path.with_name('final.safetensors')}, or best.safetensors beside it"
        )
    if is_torch:
        return (
            f"{path} is a torch.save file that fer-train did not write. Fix: {_A_RELEASE}; weights of torchvision's "
            f"models go into the config of a training run, as pretrained: {path}"
        )
    kinds = [kind for magic, kind in _MAGIC.items() if start.startswith(magic)]
    kinds = kinds or [kind for suffix, kind in _SUFFIXES.items() if path.suffix.lower() == suffix]
    return f"{path} is {kinds[0]}, not a release of fer-train. Fix: {_A_RELEASE}" if kinds else ""


def _first_line(err: BaseException) -> str:
    return (str(err).strip().splitlines() or [type(err).__name__])[0][:200]
