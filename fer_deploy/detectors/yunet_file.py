"""Where YuNet's file comes from: the user, the environment, the cache, or the OpenCV Zoo on first use.

The Zoo's file of May 2026 has free height and width, so that every runtime takes frames of any size; its weights are
those of face_detection_yunet_2023mar.onnx, whose size of 640x640 only cv2.dnn overrides.
"""

import hashlib
import os
import urllib.request
from pathlib import Path

from fer_deploy.durable import write_file
from fer_deploy.errors import ArtifactError
from fer_deploy.private_files import read_private

ENVIRONMENT_KEY = "FER_YUNET"
ADDRESS = "https://github.com/opencv/opencv_zoo/raw/main/models/face_detection_yunet/face_detection_yunet_2026may.onnx"
NUM_BYTES = 229_738
SHA256 = "ebafce4e3c118d6554634be5c27ab333b4c047a9a8c3faf1d7cf93101c22f0f0"
TIMEOUT_S = 20.0
"""For connecting, and for each answer of the server."""


def yunet_file(path: Path | None = None) -> Path:
    """Return YuNet's file: `path`, else that of $FER_YUNET, else the Zoo's, from the cache or downloaded.

    Raises:
        ArtifactError: there is no network, or the server gave something else.
    """
    found = file_at_hand(path)
    if found is None:
        found = cache_file()
        _store(_download(found), found)
    return found


def file_at_hand(path: Path | None = None) -> Path | None:
    """Return what `yunet_file` would without a download; None: it would download."""
    if path is not None:
        return path
    if named := os.environ.get(ENVIRONMENT_KEY):
        return Path(named)
    cached = cache_file()
    return cached if _is_official(cached) else None


def cache_file() -> Path:
    """Return where the Zoo's file is kept; it need not exist."""
    root = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(root) / "fer-deploy" / "detectors" / ADDRESS.rpartition("/")[2]


def how_to_get(target: Path) -> str:
    """Return what a user does by hand, to follow "Fix:"."""
    return (
        f"curl --create-dirs -L -o {target} {ADDRESS} on a machine with a network, "
        f"or --detector-model FILE, or {ENVIRONMENT_KEY}=FILE"
    )


def how_to_replace(named: Path | None) -> str:
    """Return what mends a file that is missing, damaged or no YuNet, to follow "Fix:"; `named` is --detector-model."""
    if named is not None:
        return f"leave --detector-model out, or give it YuNet's file in place of {named}: {ADDRESS}"
    if file := os.environ.get(ENVIRONMENT_KEY):
        return f"unset {ENVIRONMENT_KEY}, or set it to YuNet's file in place of {file}: {ADDRESS}"
    return how_to_get(cache_file())


def how_to_build(plan: Path) -> str:
    """Return the command that makes a plan of YuNet, to follow "Fix:"; its shapes hold frames of up to 1920x1088."""
    return (
        f"fer-deploy build --onnx {cache_file()} --out {plan} "
        "--input-shapes input 1x3x32x32 1x3x288x480 1x3x1088x1920, or --detector-model an .onnx"
    )


def _is_official(path: Path) -> bool:
    try:
        return _sha256(read_private(path, max_bytes=NUM_BYTES)) == SHA256
    except OSError:  # not there yet, not ours alone, or not readable: then it is downloaded, or the download says why
        return False


def require_official(content: bytes, path: Path) -> bytes:
    """Return the bytes that were read from `path`, if they are the Zoo's or the path is not that of the cache.

    Raises:
        ArtifactError: the file in the cache is another one than a moment ago.
    """
    if path == cache_file() and _sha256(content) != SHA256:
        raise ArtifactError(
            f"{path} changed while it was opened: SHA-256 {_sha256(content)}, expected {SHA256}. "
            f"Fix: look who writes there, then delete it; or {how_to_get(Path('FILE'))}"
        )
    return content


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _download(target: Path) -> bytes:
    """Return the official bytes; `target` is where the user may put them by hand.

    Raises:
        ArtifactError: no network, or other bytes.
    """
    try:
        with urllib.request.urlopen(ADDRESS, timeout=TIMEOUT_S) as answer:
            content: bytes = answer.read(NUM_BYTES + 1)
    except OSError as err:  # URLError and time-outs are OSErrors
        raise ArtifactError(
            f"cannot download YuNet from {ADDRESS}: {getattr(err, 'reason', None) or err}. Fix: {how_to_get(target)}"
        ) from err
    found = _sha256(content)
    if found != SHA256:
        size = f"more than {NUM_BYTES:,}" if len(content) > NUM_BYTES else f"{len(content):,}"
        raise ArtifactError(
            f"{ADDRESS} gave {size} bytes with SHA-256 {found}, expected {NUM_BYTES:,} bytes with {SHA256}; nothing "
            f"was kept. Fix: look whether a proxy answered in its place, or {how_to_get(target)}"
        )
    return content


def _store(content: bytes, path: Path) -> None:
    """Write the file whole or not at all; another process may do the same at this moment."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_file(path, content)
    except OSError as err:
        raise ArtifactError(
            f"cannot keep YuNet at {path}: {err.strerror or err}. Fix: XDG_CACHE_HOME=FOLDER that can be written, "
            f"or {how_to_get(Path('FILE'))}"
        ) from err
