"""Locate YuNet's file: from the user, the environment, the cache, or downloaded from the OpenCV Zoo on first use.

The Zoo's file of May 2026 has variable height and width, so every runtime accepts frames of any size. Its weights are
those of face_detection_yunet_2023mar.onnx, whose fixed size of 640x640 only cv2.dnn can override.
"""

import hashlib
import os
from importlib import import_module
from pathlib import Path

from fer_deploy.errors import ArtifactError, argument
from fer_deploy.files.durable import write_file
from fer_deploy.files.private_files import read_private

ENVIRONMENT_KEY = "FER_YUNET"
ADDRESS = "https://github.com/opencv/opencv_zoo/raw/main/models/face_detection_yunet/face_detection_yunet_2026may.onnx"
NUM_BYTES = 229_738
SHA256 = "ebafce4e3c118d6554634be5c27ab333b4c047a9a8c3faf1d7cf93101c22f0f0"
TIMEOUT_S = 20.0
"""Limit for connecting, and for each response of the server."""


class YuNetMissing(ArtifactError):
    """YuNet's file is not on this machine, and cannot be brought here."""


def yunet_file(path: Path | None = None) -> Path:
    """Return YuNet's file: `path`, else that of $FER_YUNET, else the Zoo's, from the cache or downloaded.

    Raises:
        YuNetMissing: there is no network, or the server sent another file.
    """
    found = file_at_hand(path)
    if found is None:
        found = cache_file()
        _store(_download(found), found)
    return found


def file_at_hand(path: Path | None = None) -> Path | None:
    """Return the file that needs no download, or None."""
    if path is not None:
        return path
    if named := os.environ.get(ENVIRONMENT_KEY):
        return Path(named)
    cached = cache_file()
    return cached if _is_official(cached) else None


def cache_file() -> Path:
    """Return the path of the Zoo's file in the cache; it need not exist."""
    root = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(root) / "fer-deploy" / "detectors" / ADDRESS.rpartition("/")[2]


def how_to_get(target: Path) -> str:
    """Return the manual download command, as text after "Fix:"."""
    return (
        f"curl --create-dirs -L -o {target} {ADDRESS} (without a network here: copy the file to this place), "
        f"or {argument('detector_model', 'FILE')}, or {ENVIRONMENT_KEY}=FILE"
    )


def how_to_replace(named: Path | None) -> str:
    """Return the fix for a file that is missing, damaged or not YuNet; `named` is the detector_model given."""
    if named is not None:
        return f"leave {argument('detector_model')} out, or give it YuNet's file in place of {named}: {ADDRESS}"
    if file := os.environ.get(ENVIRONMENT_KEY):
        return f"unset {ENVIRONMENT_KEY}, or set it to YuNet's file in place of {file}: {ADDRESS}"
    return how_to_get(cache_file())


def how_to_build(plan: Path) -> str:
    """Return the command that builds a plan of YuNet for frames of up to 1920x1088, as text after "Fix:"."""
    return (
        f"fer-deploy build --onnx {file_at_hand() or cache_file()} --out {plan} "
        f"--input-shapes input 1x3x32x32 1x3x288x480 1x3x1088x1920, or give {argument('detector_model')} an .onnx"
    )


def how_to_serve() -> str:
    """Return the command that writes a repository with YuNet for a Triton server, as text after "Fix:"."""
    return (
        f"fer-deploy triton --detector-model {file_at_hand() or cache_file()} --out REPOSITORY, or "
        f"{argument('detector_model', 'FILE')}"
    )


def _is_official(path: Path) -> bool:
    try:
        return _sha256(read_private(path, max_bytes=NUM_BYTES)) == SHA256
    except OSError:  # missing, not private or not readable: it is downloaded, or the download reports the reason
        return False


def require_official(content: bytes, path: Path) -> bytes:
    """Return `content`, read from `path`, after checking the digest of a file in the cache.

    Raises:
        ArtifactError: the file in the cache changed since it was checked.
    """
    if path == cache_file() and _sha256(content) != SHA256:
        raise ArtifactError(
            f"{path} changed while it was opened: SHA-256 {_sha256(content)}, expected {SHA256}. "
            f"Fix: find out who writes there, then delete it; or {how_to_get(Path('FILE'))}"
        )
    return content


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _download(target: Path) -> bytes:
    """Return the official bytes; `target` is where the user may store them by hand.

    Raises:
        YuNetMissing: no network, or other bytes.
    """
    try:
        fetch = import_module("fer_deploy.detectors.download").fetch
        content: bytes = fetch(ADDRESS, max_bytes=NUM_BYTES + 1, timeout_s=TIMEOUT_S)
    except OSError as err:
        raise YuNetMissing(
            f"cannot download YuNet from {ADDRESS}: {getattr(err, 'reason', None) or err}. Fix: {how_to_get(target)}"
        ) from err
    found = _sha256(content)
    if found != SHA256:
        size = f"more than {NUM_BYTES:,}" if len(content) > NUM_BYTES else f"{len(content):,}"
        raise YuNetMissing(
            f"{ADDRESS} gave {size} bytes with SHA-256 {found}, expected {NUM_BYTES:,} bytes with {SHA256}; nothing "
            f"was stored. Fix: check whether a proxy answered in its place, or {how_to_get(target)}"
        )
    return content


def _store(content: bytes, path: Path) -> None:
    """Write the file atomically; other processes may write it at the same time."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_file(path, content)
    except OSError as err:
        raise YuNetMissing(
            f"cannot store YuNet at {path}: {err.strerror or err}. Fix: XDG_CACHE_HOME=FOLDER that can be written, "
            f"or {how_to_get(Path('FILE'))}"
        ) from err
