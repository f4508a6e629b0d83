"""The file of a pack: a zip of stored members with a manifest, and the checks before a member is used.

Members are stored, not compressed: equal members give equal bytes with every version of zlib, and nothing can unpack to
more than the file's own size. Names are fixed, so no member can leave the folder that it is unpacked into.
"""

import hashlib
import io
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from fer_deploy.artifacts import MAX_MODEL_BYTES
from fer_deploy.errors import ArtifactError, ExportError
from fer_deploy.export.variants import Variant
from fer_deploy.files.durable import write_whole
from fer_deploy.files.zip_faults import ZIP_FAULTS
from fer_deploy.spec import describe_faults

MANIFEST, RECIPE, REPORT, IO = "manifest.json", "recipe.json", "report.json", "io.npz"
MAX_PACK_BYTES: Final = 2 * MAX_MODEL_BYTES
_MAX_JSON_BYTES: Final = 2**24
_MODEL: Final = re.compile(r"[A-Za-z0-9][\w.-]{0,99}-(?:" + "|".join(Variant) + r")\.onnx", re.ASCII)
_EPOCH: Final = (1980, 1, 1, 0, 0, 0)
_FILE_OF_ALL: Final = 0o100644 << 16
_UNIX: Final = 3
_FIX: Final = "Fix: copy the file again, or make it again with fer-deploy pack"


class Member(BaseModel):
    """Size and digest of one member."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    num_bytes: int = Field(ge=1, le=MAX_MODEL_BYTES)
    sha256: str = Field(pattern="^[0-9a-f]{64}$")


class PackManifest(BaseModel):
    """What is in a pack.

    Attributes:
        format: of the file.
        tool_version: of fer-toolchain, which wrote it.
        model: name of the model.
        has_people: whether the saved inputs show real persons.
        members: every other member, by name.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["fer-pack-1"] = "fer-pack-1"
    tool_version: str = Field(max_length=100)
    model: str = Field(max_length=200)
    has_people: bool
    members: dict[Annotated[str, Field(max_length=150)], Member] = Field(max_length=16)

    @model_validator(mode="after")
    def _names_are_known(self) -> "PackManifest":
        for name in self.members:
            if not is_member_name(name) or name == MANIFEST:
                raise ValueError(f"{name[:100]!r} is no member of a pack")
        missing = sorted({RECIPE, REPORT, IO} - self.members.keys())
        if missing:
            raise ValueError(f"it lists no {missing[0]}")
        if not any(name.endswith(f"-{Variant.FP32}.onnx") for name in self.members):
            raise ValueError("it lists no FP32 model")
        return self

    @property
    def models(self) -> list[str]:
        """Names of the ONNX members, in the order of the variants."""
        order = [f"-{variant}.onnx" for variant in Variant]
        found = [name for name in self.members if _MODEL.fullmatch(name)]
        return sorted(found, key=lambda name: next(i for i, end in enumerate(order) if name.endswith(end)))


def is_member_name(name: str) -> bool:
    """Return whether a member may have this name: a fixed one, or a model's, never with a folder."""
    return name in (MANIFEST, RECIPE, REPORT, IO) or _MODEL.fullmatch(name) is not None


@dataclass(frozen=True)
class Pack:
    """A pack whose manifest was checked.

    Attributes:
        path: of the file.
        sha256: of the whole file.
        manifest: what is in it.
    """

    path: Path
    sha256: str
    manifest: PackManifest
    _content: bytes

    def read(self, name: str) -> bytes:
        """Return a member's bytes, after comparing them with the manifest.

        Raises:
            ArtifactError: they differ, or the file is damaged.
        """
        wanted = self.manifest.members[name]
        try:
            with zipfile.ZipFile(io.BytesIO(self._content)) as packed:
                content = packed.read(name)
        except ZIP_FAULTS as err:
            raise ArtifactError(f"cannot read {name} in {self.path}: damaged ({str(err)[:200]}). {_FIX}") from err
        digest = hashlib.sha256(content).hexdigest()
        if digest != wanted.sha256:
            raise ArtifactError(
                f"{name} in {self.path} is damaged: its SHA-256 is {digest}, expected {wanted.sha256}. {_FIX}"
            )
        return content


def write_pack(path: Path, members: Mapping[str, bytes], manifest: Mapping[str, Any]) -> PackManifest:
    """Write a pack atomically. Equal members give equal bytes.

    Args:
        path: file to write.
        members: name to content, without the manifest.
        manifest: fields of `PackManifest` other than `members`.

    Raises:
        ExportError: it would be too large, or cannot be written.
    """
    listed = {
        name: Member(num_bytes=len(content), sha256=hashlib.sha256(content).hexdigest())
        for name, content in sorted(members.items())
    }
    found = PackManifest(members=listed, **manifest)
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as packed:
        packed.writestr(_entry(MANIFEST), found.model_dump_json(indent=2) + "\n")
        for name in listed:
            packed.writestr(_entry(name), members[name])
    content = file.getvalue()
    if len(content) > MAX_PACK_BYTES:
        raise ExportError(f"a pack of {len(content):,} bytes is too large, at most {MAX_PACK_BYTES:,} are allowed")
    try:
        write_whole(path, content)
    except OSError as err:
        raise ExportError(
            f"cannot write {path}: {err.strerror or err}. Fix: a folder that exists, with free space, or another --out"
        ) from err
    return found


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, _EPOCH)
    entry.compress_type, entry.create_system, entry.external_attr = zipfile.ZIP_STORED, _UNIX, _FILE_OF_ALL
    return entry


def read_pack(path: Path) -> Pack:
    """Open a pack and check its manifest against what is in it. Digests are compared by `Pack.read`.

    Raises:
        ArtifactError: missing, too large, damaged, of a newer format, or another kind of file.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_PACK_BYTES + 1)
    except OSError as err:
        raise ArtifactError(
            f"cannot read {path}: {err.strerror or err}. Fix: the path of a file that fer-deploy pack wrote"
        ) from err
    if len(content) > MAX_PACK_BYTES:
        raise ArtifactError(f"{path} is larger than {MAX_PACK_BYTES:,} bytes, so it is no pack. {_FIX}")
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as packed:
            sizes = _checked_sizes(packed, path)
            text = packed.read(MANIFEST)
        manifest = PackManifest.model_validate_json(text)
    except ValidationError as err:
        faults = describe_faults(err, whole="manifest")
        raise ArtifactError(f"{path} is no pack that this version reads ({faults}). {_FIX}") from err
    except ZIP_FAULTS as err:
        raise ArtifactError(f"{path} is damaged, or no pack ({str(err)[:200]}). {_FIX}") from err
    listed = {name: member.num_bytes for name, member in manifest.members.items()}
    if {name: size for name, size in sizes.items() if name != MANIFEST} != listed:
        differing = sorted(name for name in {*sizes, *listed} - {MANIFEST} if sizes.get(name) != listed.get(name))
        raise ArtifactError(f"{path} is damaged: {differing[0]} is not what its manifest lists. {_FIX}")
    return Pack(path, hashlib.sha256(content).hexdigest(), manifest, content)


def _checked_sizes(packed: zipfile.ZipFile, path: Path) -> dict[str, int]:
    """Return the size of each member; raise ArtifactError for what no pack contains."""
    sizes: dict[str, int] = {}
    for entry in packed.infolist():
        name = entry.filename
        if not is_member_name(name):
            raise ArtifactError(f"{path} is no pack: it contains {name[:100]!r}, which no pack has. {_FIX}")
        if name in sizes:
            raise ArtifactError(f"{path} is no pack: it contains {name} twice. {_FIX}")
        if entry.compress_type != zipfile.ZIP_STORED or entry.file_size != entry.compress_size:
            raise ArtifactError(f"{path} is no pack: {name} is compressed, and members of a pack are not. {_FIX}")
        if name.endswith(".json") and entry.file_size > _MAX_JSON_BYTES:
            raise ArtifactError(f"{path} is no pack: {name} has {entry.file_size:,} bytes. {_FIX}")
        sizes[name] = entry.file_size
    if MANIFEST not in sizes:
        raise ArtifactError(f"{path} is no pack: it has no {MANIFEST}. {_FIX}")
    return sizes
