"""Saved inputs with the reference's logits, in one .npz: another machine verifies with them, without PyTorch or data.

The file is NumPy's format with three arrays: `images` (N, channels, height, width) uint8, `logits` (N, labels) float32,
and `about`, a JSON text: the model's labels and input, the reference, the origin of the faces. Nothing is pickled.
"""

import io
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fer_deploy.errors import ArtifactError, ExportError
from fer_deploy.export.faces import VerificationFaces
from fer_deploy.export.verify.compare import Reference
from fer_deploy.files.durable import write_whole
from fer_deploy.files.zip_faults import ZIP_FAULTS
from fer_deploy.spec import InputSpec, ModelSpec, describe_faults

MAX_IO_BYTES: Final = 2**28
"""Size limit of the file and of each array in it: 100,000 faces of 48 x 48 pixels fit."""
SUFFIX: Final = ".npz"
_MEMBERS: Final = ("images.npy", "logits.npy", "about.npy")
_FIX: Final = "Fix: copy the file again, or write it again with fer-deploy verify --save-io"


class _About(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["fer-io-1"] = "fer-io-1"
    labels: tuple[str, ...] = Field(min_length=2)
    input: InputSpec
    reference: str
    faces: str
    has_people: bool


@dataclass(frozen=True, eq=False)
class SavedIO:
    """Inputs and the logits that a reference gave for them.

    Attributes:
        images_nchw: (N, channels, height, width) uint8, N at least 1.
        logits: (N, labels) float32, finite.
        labels: names of the logits.
        input: what the model takes.
        reference: description of the engine that gave the logits.
        faces: origin of the images.
        has_people: whether they show real persons; then the file is personal data.
    """

    images_nchw: NDArray[np.uint8]
    logits: NDArray[np.float32]
    labels: tuple[str, ...]
    input: InputSpec
    reference: str
    faces: str
    has_people: bool

    @classmethod
    def of(cls, reference: Reference, spec: ModelSpec, *, has_people: bool) -> "SavedIO":
        """Return what a reference computed. Labels and slices of the faces are left out."""
        faces = reference.faces
        return cls(
            faces.images_nchw,
            reference.logits,
            reference.labels,
            spec.input,
            reference.description,
            faces.source,
            has_people,
        )

    def as_reference(self) -> Reference:
        """Return the reference that artifacts are compared with; without labels there is no accuracy."""
        faces = VerificationFaces(self.images_nchw, None, self.faces)
        return Reference(faces, self.labels, self.logits, self.reference)

    def require_model(self, spec: ModelSpec, *, artifact: Path, where: str) -> None:
        """Check that an artifact has the labels and the input of the saved model.

        Raises:
            ExportError: it has others, so it is another model.
        """
        if (spec.labels, spec.input) != (self.labels, self.input):
            raise ExportError(
                f"{artifact} and {where} differ in labels or input: not one model. "
                "Fix: name the inputs that were saved with this model"
            )

    def to_bytes(self) -> bytes:
        """Return the content of the file; equal for equal inputs."""
        about = _About(
            labels=self.labels, input=self.input, reference=self.reference, faces=self.faces, has_people=self.has_people
        )
        file = io.BytesIO()
        text = json.dumps(about.model_dump(mode="json"), sort_keys=True)
        np.savez(file, images=self.images_nchw, logits=self.logits, about=np.array(text))
        return file.getvalue()


def write_io(path: Path, saved: SavedIO) -> None:
    """Write the file atomically.

    Raises:
        ExportError: it cannot be written.
    """
    try:
        write_whole(path, saved.to_bytes())
    except OSError as err:
        raise ExportError(f"cannot write {path}: {err.strerror or err}. Fix: another --save-io") from err


def read_io(path: Path) -> SavedIO:
    """Read a file of saved inputs.

    Raises:
        ArtifactError: missing, too large, damaged, or another kind of file.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_IO_BYTES + 1)
    except OSError as err:
        raise ArtifactError(f"cannot read {path}: {err.strerror or err}. {_FIX}") from err
    return io_from_bytes(content, where=str(path), fix=_FIX)


def io_from_bytes(content: bytes, *, where: str, fix: str) -> SavedIO:
    """Return saved inputs from the content of a file; sizes are checked before anything is unpacked.

    Args:
        content: of the file.
        where: the file, for errors.
        fix: end of the message of an error.

    Raises:
        ArtifactError: too large, damaged, or another kind of file.
    """
    if len(content) > MAX_IO_BYTES:
        raise ArtifactError(f"{where} is larger than {MAX_IO_BYTES:,} bytes, so it holds no saved inputs. {fix}")
    try:
        arrays = _arrays(content)
    except ZIP_FAULTS as err:
        raise ArtifactError(f"cannot read {where}: damaged, or no saved inputs ({str(err)[:200]}). {fix}") from err
    try:
        about = _About.model_validate_json(str(arrays["about"]))
    except ValidationError as err:
        raise ArtifactError(
            f"cannot read {where}: no saved inputs of this version ({describe_faults(err, whole='about')}). {fix}"
        ) from err
    images, logits = arrays["images"], arrays["logits"]
    wanted = (about.input.channels, about.input.height, about.input.width)
    is_fitting = images.dtype == np.uint8 and images.ndim == 4 and images.shape[1:] == wanted and len(images) > 0
    if not is_fitting or logits.dtype != np.float32 or logits.shape != (len(images), len(about.labels)):
        raise ArtifactError(
            f"cannot use {where}: images are {images.dtype} {images.shape} and logits {logits.dtype} {logits.shape}, "
            f"expected uint8 (N, {', '.join(map(str, wanted))}) and float32 (N, {len(about.labels)}). {fix}"
        )
    if not np.isfinite(logits).all():
        raise ArtifactError(f"cannot use {where}: a logit is not finite. {fix}")
    return SavedIO(images, logits, about.labels, about.input, about.reference, about.faces, about.has_people)


def _arrays(content: bytes) -> dict[str, NDArray[Any]]:
    with zipfile.ZipFile(io.BytesIO(content)) as packed:
        sizes = {entry.filename: entry.file_size for entry in packed.infolist()}
    if tuple(sorted(sizes)) != tuple(sorted(_MEMBERS)):
        raise ValueError(f"it has {', '.join(sizes)[:100] or 'nothing'}, expected {', '.join(_MEMBERS)}")
    if max(sizes.values()) > MAX_IO_BYTES:
        raise ValueError(f"an array has {max(sizes.values()):,} bytes")
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        return {name.removesuffix(".npy"): arrays[name.removesuffix(".npy")] for name in _MEMBERS}
