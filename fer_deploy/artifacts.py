"""Model files on disk: the bundled one, digests. Opens no model; that is the engines' work."""

import hashlib
from pathlib import Path

from fer_deploy.errors import ArtifactError

_BUNDLED = Path(__file__).parent / "models" / "net-fp32.onnx"


def bundled_model() -> Path:
    """Return the path of the ONNX model that ships with the package.

    Raises:
        ArtifactError: the installation lacks it.
    """
    return require_file(_BUNDLED, fix="reinstall fer-deploy, or give --engine a model of your own")


def require_file(path: Path, *, fix: str) -> Path:
    """Return `path` if it is a non-empty file; `fix` ends the message otherwise.

    Raises:
        ArtifactError: missing, a folder, or empty.
    """
    if not path.exists():
        raise ArtifactError(f"no model at {path}. Fix: {fix}")
    if not path.is_file() or path.stat().st_size == 0:
        kind = "is empty" if path.is_file() else "is a folder"
        raise ArtifactError(f"{path} {kind}, expected a model file. Fix: {fix}")
    return path


def file_sha256(path: Path) -> str:
    """Return the hex SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
