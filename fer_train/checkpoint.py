"""Two kinds of file: `last.pt`, from which a run resumes exactly, and `.safetensors`, the release that others load.

A release carries its ModelSpec as JSON in the safetensors metadata under `SPEC_KEY`; `fer_deploy.spec` reads it.
Every write is atomic: a temporary file beside the target, flushed to disk, then renamed.
"""

import contextlib
import errno
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import nn

from fer_train.errors import CheckpointError, ConfigError, Terminated
from fer_train.models import build_model
from fer_train.portable_paths import without_folders

SPEC_KEY = "fer_model_spec"
_STATE_FORMAT = "fer-train-state-1"
_START_ANEW = "Fix: a backup of it; or start anew, without --resume and in another --out"
_GET_ANEW = "Fix: copy or download it again, or make it anew: fer-train train, or fer-train release"


def write_atomically(path: Path, write: Callable[[Path], None]) -> None:
    """Call `write(temporary)` and rename the result to `path`; on any failure `path` keeps its old content.

    Raises:
        CheckpointError: the disk is full or the folder cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(temporary)
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    except (OSError, SafetensorError, RuntimeError) as err:  # torch.save reports a full disk as RuntimeError
        raise CheckpointError(f"cannot write {path}: {err}. What was there before is untouched. {_mend(err)}") from err
    finally:
        with contextlib.suppress(OSError):  # the folder may be the thing that is wrong
            temporary.unlink()


def _mend(err: Exception) -> str:
    """Return the mend of a failed write; torch and safetensors tell of a full disk in words of their own."""
    if isinstance(err, OSError) and err.errno not in (errno.ENOSPC, errno.EDQUOT):
        return "Fix: choose another --out, one that can be written"
    return "Fix: free space there, then the same command (with --resume where it trains); or --out on another disk"


def write_content(path: Path, content: str | bytes) -> None:
    """Write text (UTF-8) or bytes atomically; errors as `write_atomically`."""
    data = content.encode() if isinstance(content, str) else content
    write_atomically(path, lambda temporary: _write_bytes(temporary, data))


def save_state(path: Path, state: dict[str, Any]) -> None:
    """Write a resumable state: tensors and plain values only, so that it loads with `weights_only=True`."""
    write_atomically(path, lambda temporary: torch.save({"format": _STATE_FORMAT, **state}, temporary))


def load_state(path: Path) -> dict[str, Any]:
    """Read what `save_state` wrote, onto the CPU.

    Raises:
        CheckpointError: missing, truncated, or not a state of this project.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as err:
        raise CheckpointError(f"no checkpoint to resume at {path}. Fix: leave --resume out to start anew") from err
    except Terminated:
        raise
    except Exception as err:  # torch.load raises whatever the damaged part of the file provokes
        raise CheckpointError(
            f"cannot load {path}: truncated or not a training state ({_first_line(err)}). {_START_ANEW}"
        ) from err
    if not isinstance(state, dict) or state.get("format") != _STATE_FORMAT:
        raise CheckpointError(f"{path} is a PyTorch file but not a training state of fer-train. {_START_ANEW}")
    return state


def save_release(path: Path, model: nn.Module, spec: dict[str, Any], dtype: torch.dtype = torch.float32) -> None:
    """Write weights and batch-norm statistics as safetensors in `dtype`, with the ModelSpec as metadata.

    The provenance, also that of older releases which it quotes, holds file names instead of paths.
    """
    if "provenance" in spec:
        spec = spec | {"provenance": without_folders(spec["provenance"])}
    tensors = {
        name: value.detach().to("cpu", dtype if value.is_floating_point() else value.dtype).contiguous()
        for name, value in model.state_dict().items()
    }
    content = save(tensors, metadata={SPEC_KEY: json.dumps(spec)})
    write_content(path, content)


def _write_bytes(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def read_spec_json(path: Path) -> str:
    """Return the ModelSpec of a release as JSON, without reading its weights.

    Raises:
        CheckpointError: missing, truncated, or not released by this project.
    """
    return _read_release(path, with_tensors=False)[0]


def load_release(path: Path) -> tuple[nn.Module, dict[str, Any]]:
    """Build the model that a release describes, with its weights as float32, in eval mode, on the CPU.

    Returns:
        The model and its ModelSpec as a dict.

    Raises:
        CheckpointError: missing, truncated, foreign, or weights that do not fit the architecture it names.
    """
    spec_json, tensors = _read_release(path, with_tensors=True)
    try:
        spec: dict[str, Any] = json.loads(spec_json)
        model = build_model(spec["architecture"], num_classes=len(spec["labels"]))
        model.load_state_dict({k: v.float() if v.is_floating_point() else v for k, v in tensors.items()})
    except (ValueError, KeyError, TypeError, RuntimeError, ConfigError) as err:  # json.JSONDecodeError is a ValueError
        raise CheckpointError(
            f"{path}: weights and ModelSpec do not fit each other ({_first_line(err)}). {_GET_ANEW}"
        ) from err
    return model.eval(), spec


def _read_release(path: Path, *, with_tensors: bool) -> tuple[str, dict[str, torch.Tensor]]:
    if path.suffix == ".pt" and path.exists():
        raise CheckpointError(
            f"{path} is a training state, for --resume; released weights are .safetensors. "
            f"Fix: {path.with_name('final.safetensors')}, or best.safetensors beside it"
        )
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            names = file.keys() if with_tensors else []
            tensors = {name: file.get_tensor(name) for name in names}
    except FileNotFoundError as err:
        raise CheckpointError(f"no checkpoint at {path}. Fix: fer-train train, or use weights/net.safetensors") from err
    except (OSError, SafetensorError, TypeError) as err:  # torch refuses shapes that safetensors takes
        raise CheckpointError(
            f"cannot load {path}: truncated or not a safetensors file ({_first_line(err)}). {_GET_ANEW}"
        ) from err
    if SPEC_KEY not in metadata:
        raise CheckpointError(
            f"{path} is a safetensors file without a ModelSpec; it was not released by fer-train. {_GET_ANEW}"
        )
    return metadata[SPEC_KEY], tensors


def _first_line(err: BaseException) -> str:
    return (str(err).strip().splitlines() or [type(err).__name__])[0][:200]
