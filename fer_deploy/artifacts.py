"""Model files on disk: bundled models, checks and digests. The engines open the models."""

import hashlib
import re
from pathlib import Path
from typing import Final, Literal

from fer_deploy.errors import ArtifactError, argument
from fer_deploy.spec import Precision

MAX_MODEL_BYTES = 2**30
"""Size limit of a model file. Models of this project have about ten million bytes; a larger file could fill memory."""
_ADDRESS: Final = re.compile(r"([a-z][a-z0-9+.-]+):/{1,2}(?!/)(.*)")
"""A `Path` has lost a slash."""
_MODELS = Path(__file__).parent / "models"
Family = Literal["ferplus", "nano-ferplus", "fer2013"]
"""Bundled models: ferplus learned from FER+ (ten votes a face; for real pictures), nano-ferplus the same with a fifth
of the parameters (for many faces), fer2013 from FER2013's labels (the benchmark)."""
_BUNDLED: dict[Family, dict[Precision, str]] = {
    "ferplus": {Precision.FP16: "senet-ferplus-fp16.onnx", Precision.INT8: "senet-ferplus-int8-cpu.onnx"},
    "nano-ferplus": {Precision.FP16: "nano-ferplus-fp16.onnx", Precision.INT8: "nano-ferplus-int8-cpu.onnx"},
    "fer2013": {Precision.INT8: "senet-int8-cpu.onnx"},
}


def bundled_model(precision: Precision = Precision.FP16, family: Family = "ferplus") -> Path:
    """Return the path of an ONNX model that ships with the package; INT8 is for CPUs (`engines.bundled`).

    The family fer2013 ships only in INT8; its path is returned for every `precision`.

    Raises:
        ArtifactError: the file is missing from the installation.
    """
    files = _BUNDLED[family]
    name = files.get(precision, files[Precision.INT8])
    return require_file(
        _MODELS / name, fix=f"reinstall fer-toolchain, or give {argument('engine')} a model of your own"
    )


def bundled_files(family: Family) -> tuple[Path, ...]:
    """Return the paths of all bundled models of a family; whether they exist is not checked."""
    return tuple(_MODELS / name for name in _BUNDLED[family].values())


def require_file(path: Path, *, fix: str) -> Path:
    """Return `path` if it is a file of 1 to MAX_MODEL_BYTES bytes; `fix` ends the message otherwise.

    Raises:
        ArtifactError: missing, a folder or a device, empty, too large, or in a folder that cannot be read.
    """
    try:
        if not path.exists():
            if address := _ADDRESS.match(str(path)):
                raise ArtifactError(
                    f"{address[1]}://{address[2]} is an address, expected a file of this machine. Fix: download it and "
                    "give the file's path; a model that Triton serves is triton://HOST:8001/MODEL"
                )
            raise ArtifactError(f"no model at {path}. Fix: {fix}")
        is_file, size = path.is_file(), path.stat().st_size
    except (OSError, ValueError) as err:  # ValueError: not a valid file name
        raise ArtifactError(f"cannot read {path}: {getattr(err, 'strerror', None) or err}. Fix: {fix}") from err
    if not is_file:
        kind = "is a folder" if path.is_dir() else "is not a regular file"
        raise ArtifactError(f"{path} {kind}, expected a model file. Fix: {fix}")
    if size == 0:
        raise ArtifactError(f"{path} is empty, expected a model file. Fix: {fix}")
    if size > MAX_MODEL_BYTES:
        raise ArtifactError(f"{path} has {size:,} bytes, expected a model of at most {MAX_MODEL_BYTES:,}. Fix: {fix}")
    return path


def read_model_file(path: Path) -> bytes:
    """Return a file's bytes.

    Raises:
        ArtifactError: unreadable, or larger than MAX_MODEL_BYTES, even if it was smaller when it was checked.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_MODEL_BYTES + 1)
    except OSError as err:
        raise ArtifactError(f"cannot read {path}: {err.strerror or err}. Fix: check its permissions") from err
    if len(content) > MAX_MODEL_BYTES:
        raise ArtifactError(
            f"{path} is larger than {MAX_MODEL_BYTES:,} bytes, so it is not a model. Fix: export it again"
        )
    return content


def file_sha256(path: Path) -> str:
    """Return the hex SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
