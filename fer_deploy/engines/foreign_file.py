"""Identify files that no engine can open, and find the command that fixes the user's own file."""

import difflib
import shlex
from pathlib import Path
from typing import NamedTuple

from fer_deploy.errors import ArtifactError, argument

_HEAD_BYTES = 512
_FEWEST_LETTERS = 8
_ENGINE_SUFFIXES = (".onnx", ".plan", ".engine")
PACK_SUFFIX = ".ferpack"
_OWN = (
    "train or fine-tune a model with fer-train, then fer-deploy export --checkpoint RUN/final.safetensors "
    "--out artifacts/{stem}; {path} itself cannot be converted"
)


class ForeignFile(NamedTuple):
    """Kind of a file, as text after "it is", and a fix, as text after "Fix:" with {path} and {stem} of the file."""

    what: str
    fix: str

    def fix_for(self, path: Path) -> str:
        """Return the fix with the file's name, quoted for a shell."""
        return self.fix.format(path=shlex.quote(str(path)), stem=shlex.quote(path.stem.removesuffix(".onnx")))


_CHECKPOINT = ForeignFile(
    "a checkpoint, the weights without a graph", "fer-deploy export --checkpoint {path} --out artifacts/{stem}"
)
_PYTORCH = ForeignFile("a pickle of PyTorch, which has no ModelSpec and may run code when it is read", _OWN)
_KERAS = ForeignFile("a Keras model, which has no ModelSpec", _OWN)
_TFLITE = ForeignFile("a TensorFlow Lite model, which has no ModelSpec", _OWN)
_TENSORFLOW = ForeignFile("a TensorFlow graph, which has no ModelSpec", _OWN)
_OPENVINO = ForeignFile("a part of an OpenVINO model, which has no ModelSpec", _OWN)
_ZIP = ForeignFile("a ZIP archive", "unpack {path} and give the .onnx in it; if there is none, " + _OWN)
_ARCHIVE = ForeignFile("a compressed file", "unpack {path} and give the .onnx in it; if there is none, " + _OWN)
_PLAN = ForeignFile(
    "a TensorRT plan", "name it {stem}.plan, with the manifest {stem}.plan.json beside it; fer-deploy build writes both"
)
_ONNX = ForeignFile("an ONNX model", "rename it to {stem}.onnx")
_POINTER = ForeignFile("a pointer of Git LFS, not the file itself", "git lfs pull, beside {path}")
_PAGE = ForeignFile("a web page, not a model", "download {path} again, from the link of the raw file")
_MODEL = f"{argument('engine')} takes a model, and without it the bundled one runs"
_PACK = ForeignFile(
    "a pack, which holds a model to be rebuilt", "fer-deploy rebuild {path} --out artifacts/{stem}, then that folder"
)
_PICTURE = ForeignFile("a picture", "fer-deploy image {path}, or Recognizer.analyze; " + _MODEL)
_VIDEO = ForeignFile("a video", "fer-deploy live --source {path}, or Recognizer.stream; " + _MODEL)
_TEXT = ForeignFile("a text, not a model", "give the .onnx or .plan that fer-deploy wrote, in place of {path}")

_BY_HEAD = (
    (b"\x89HDF\r\n\x1a\n", _KERAS),
    (b"ftrt", _PLAN),
    (b"vtrt", _PLAN),
    (b"\x1f\x8b", _ARCHIVE),
    (b"BZh", _ARCHIVE),
    (b"\xfd7zXZ", _ARCHIVE),
    (b"7z\xbc\xaf", _ARCHIVE),
    (b"version https://git-lfs", _POINTER),
    (b"\xff\xd8\xff", _PICTURE),
    (b"\x89PNG\r\n\x1a\n", _PICTURE),
    (b"GIF8", _PICTURE),
    (b"II*\x00", _PICTURE),
    (b"MM\x00*", _PICTURE),
    (b"\x1aE\xdf\xa3", _VIDEO),
)
_IR_VERSIONS = bytes(range(3, 32))
"""IR versions of ONNX; a TensorFlow SavedModel begins in the same way, with 1."""
_MODEL_FIELDS = b"\x12\x1a\x22\x28\x32\x3a\x42\x72"
"""Keys of ONNX's ModelProto fields that may come next."""
_STILLS = (b"heic", b"heix", b"mif1", b"avif")
_BY_SUFFIX = {
    ".safetensors": _CHECKPOINT,
    ".pt": _PYTORCH,
    ".pth": _PYTORCH,
    ".ckpt": _PYTORCH,
    ".pkl": _PYTORCH,
    ".h5": _KERAS,
    ".hdf5": _KERAS,
    ".keras": _KERAS,
    ".tflite": _TFLITE,
    ".pb": _TENSORFLOW,
    ".xml": _OPENVINO,
    ".bin": _OPENVINO,
    PACK_SUFFIX: _PACK,
    ".zip": _ZIP,
    ".gz": _ARCHIVE,
    ".tar": _ARCHIVE,
    ".trt": _PLAN,
}


def require_own_file(path: Path) -> None:
    """Refuse a file of another kind before native code reads it.

    Raises:
        ArtifactError: see `foreign_file`.
    """
    found = foreign_file(path)
    if found is not None:
        raise ArtifactError(
            f"cannot open {path}: it is {found.what}; expected an .onnx of fer-deploy export or a .plan of fer-deploy "
            f"build. Fix: {found.fix_for(path)}"
        )


def foreign_file(path: Path) -> ForeignFile | None:
    """Identify a file by its first bytes and its suffix; None: it may be an engine, or it is unknown."""
    head = _head(path)
    by_suffix = _BY_SUFFIX.get(path.suffix.lower())
    if head.startswith(b"PK\x03\x04"):
        return by_suffix or (_PYTORCH if b"/data.pkl" in head or b"/version" in head else _ZIP)
    found = next((kind for start, kind in _BY_HEAD if head.startswith(start)), None)
    found = found or _by_container(head) or _by_structure(head) or by_suffix
    if found is _ONNX and path.suffix == ".onnx":
        return None
    may_be_plan = path.suffix in (".plan", ".engine") and found in (_PLAN, _TEXT)  # TensorRT's format is not documented
    return None if may_be_plan else found


def _by_container(head: bytes) -> ForeignFile | None:
    """Distinguish pictures and videos that have the same container."""
    if head[:4] == b"RIFF":
        return _PICTURE if head[8:12] == b"WEBP" else _VIDEO
    if head[4:8] == b"ftyp":
        return _PICTURE if head[8:12] in _STILLS else _VIDEO
    return None


def _by_structure(head: bytes) -> ForeignFile | None:
    if head[4:8] == b"TFL3":
        return _TFLITE
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") < 10**8:
        return _CHECKPOINT
    if len(head) > 2 and head[:1] == b"\x08" and head[1:2] in _IR_VERSIONS and head[2:3] in _MODEL_FIELDS:
        return _ONNX
    if head[:1] == b"\x80" and head[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        return _PYTORCH
    if head.lstrip()[:9].lower().startswith((b"<!doctype", b"<html")):
        return _PAGE
    return _TEXT if len(head) >= _FEWEST_LETTERS and all(byte in _TEXT_BYTES for byte in head) else None


_TEXT_BYTES = frozenset((*range(0x20, 0x7F), 0x09, 0x0A, 0x0D))


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_HEAD_BYTES)
    except (OSError, ValueError):  # `require_file` reports it
        return b""


def fix_for_missing(path: Path) -> str:
    """Return the fix for a missing engine file: the most similar name in its folder, or how to build it."""
    beside = {other.stem: other for other in _engines_beside(path)}
    near = difflib.get_close_matches(path.stem, beside, n=1)  # without the suffix, which all of them have
    if near:
        return f"did you mean {shlex.quote(str(beside[near[0]]))}?"
    known = _BY_SUFFIX.get(path.suffix.lower())
    if known is _CHECKPOINT:
        return "fer-deploy export --checkpoint, with the path of an existing checkpoint; it writes the .onnx"
    if path.suffix in (".plan", ".engine"):
        onnx = shlex.quote(str(path.with_suffix(".onnx")))
        return f"fer-deploy build --onnx {onnx} --out {shlex.quote(str(path))}"
    if not path.suffix:
        folder = shlex.quote(str(path))
        return (
            f"fer-deploy export --checkpoint CHECKPOINT.safetensors --out {folder}, then fer-deploy bench {folder}; "
            "or another path"
        )
    return (
        f"fer-deploy export --checkpoint CHECKPOINT.safetensors --out {shlex.quote(str(path.parent))}, or another path"
    )


def _engines_beside(path: Path) -> list[Path]:
    """Return the other non-empty engine files of its folder; those with the same suffix come last."""
    try:
        others = sorted(path.parent.iterdir(), key=lambda other: (other.suffix == path.suffix, other.name))
        return [
            other
            for other in others
            if other.suffix in _ENGINE_SUFFIXES and other.name != path.name and other.stat().st_size > 0
        ]
    except OSError:
        return []
