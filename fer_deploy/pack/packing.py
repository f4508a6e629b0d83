"""Pack an export: models, recipe, report and saved inputs with their logits, in one file."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from pydantic import Field

from fer_deploy import __version__
from fer_deploy.engines import open_engine
from fer_deploy.engines.foreign_file import PACK_SUFFIX
from fer_deploy.errors import ArtifactError, ConfigError, MissingDependencyError
from fer_deploy.export.config import DEFAULT_LIMITS
from fer_deploy.export.faces import VerificationFaces
from fer_deploy.export.verify.against_saved import verify_saved
from fer_deploy.export.verify.compare import Comparison, Reference, require_kept
from fer_deploy.export.verify.saved_io import SavedIO
from fer_deploy.pack.archive import IO, RECIPE, REPORT, PackManifest, write_pack
from fer_deploy.pack.export_folder import ExportFolder, read_export
from fer_deploy.pack.inputs import NUM_CANDIDATES, NUM_FACES, chosen, drawn_faces
from fer_deploy.pack.recipe import recipe_of
from fer_deploy.settings import Settings
from fer_deploy.spec import ModelSpec

OnMessage = Callable[[str], None]
PEOPLE: Final = (
    "the pack holds {num} faces of real people from {data}: personal data, which you may pass on only where they and "
    "the law allow it. Without --data the faces are drawn"
)


class PackConfig(Settings):
    """Settings of `fer-deploy pack`."""

    folder: Path = Field(strict=False, description="folder of an export")
    out: Path = Field(strict=False, description="file to write")
    checkpoint: Path | None = Field(
        default=None, strict=False, description="PyTorch's logits come from it; null: those of the FP32 ONNX"
    )
    data: Path | None = Field(
        default=None, strict=False, description="FER2013: real faces as saved inputs; null: drawn faces"
    )
    split: str = Field(default="PublicTest", description="split of the data")


@dataclass(frozen=True)
class Packed:
    """A pack that was written.

    Attributes:
        manifest: what is in it.
        reference: description of the engine that gave the saved logits.
        comparisons: of each model with these logits.
        note: what the user must know before passing it on, or empty.
    """

    manifest: PackManifest
    reference: str
    comparisons: tuple[Comparison, ...]
    note: str


def pack(config: PackConfig, *, on_message: OnMessage = lambda _: None) -> Packed:
    """Write a pack after comparing every model with the saved logits.

    Args:
        config: the export, and where the inputs and their logits come from.
        on_message: called with a message before each step.

    Raises:
        ArtifactError: the folder is no complete export, or the checkpoint is not the exported one.
        ConfigError: the name of the pack is wrong.
        ExportError: the pack cannot be written.
        MissingDependencyError: PyTorch is needed and not installed.
        VerificationError: a model differs from the reference by more than its limits; nothing was written.
    """
    if config.out.suffix != PACK_SUFFIX:
        fix = f"--out {config.out.with_suffix(PACK_SUFFIX)}"
        raise ConfigError(f"out: {config.out.name} must end in {PACK_SUFFIX}. Fix: {fix}")
    on_message(f"reading {config.folder}")
    folder = read_export(config.folder)
    reference = _of_best_faces(_reference(config, folder, _faces(config, folder.fp32.spec), on_message))
    saved = SavedIO.of(reference, folder.fp32.spec, has_people=config.data is not None)
    found = []
    for model in folder.models.values():
        on_message(f"comparing {model.path.name}")
        found.append(
            verify_saved(model.path, saved, DEFAULT_LIMITS.__getitem__, where=str(config.folder), device="cpu")
        )
        require_kept(found[-1], reference)
    members = {
        **{model.path.name: model.content for model in folder.models.values()},
        RECIPE: _json(recipe_of(folder, found)),
        REPORT: folder.report_bytes,
        IO: saved.to_bytes(),
    }
    manifest = write_pack(
        config.out,
        members,
        {"tool_version": __version__, "model": folder.fp32.spec.name, "has_people": saved.has_people},
    )
    note = "" if config.data is None else PEOPLE.format(num=len(reference.faces), data=config.data.name)
    return Packed(manifest, reference.description, tuple(found), note)


def _faces(config: PackConfig, spec: ModelSpec) -> VerificationFaces:
    if config.data is None:
        return drawn_faces(spec.input)
    load = _with_torch("fer_deploy.export.checkpoint", "--data").load_verification_faces
    faces: VerificationFaces = load(config.data, split=config.split, limit=NUM_CANDIDATES, spec=spec)
    return faces


def _reference(config: PackConfig, folder: ExportFolder, faces: VerificationFaces, on_message: OnMessage) -> Reference:
    if config.checkpoint is None:
        with open_engine(folder.fp32.path, device="cpu") as engine:
            on_message(f"logits of {folder.fp32.path.name}")
            return Reference.of(engine, faces)
    checkpoint = _with_torch("fer_deploy.export.checkpoint", "--checkpoint").load_checkpoint(config.checkpoint)
    if checkpoint.sha256 != folder.checkpoint_sha256:
        raise ArtifactError(
            f"{config.checkpoint} is not the checkpoint that {folder.path} was exported from: its SHA-256 is "
            f"{checkpoint.sha256}, {REPORT} says {folder.checkpoint_sha256}. "
            f"Fix: the file {folder.report['checkpoint']['name']} of that export, or export again"
        )
    torch_engine = _with_torch("fer_deploy.export.verify.torch_engine", "--checkpoint").TorchEngine
    with torch_engine.of(checkpoint, device="cpu") as engine:
        on_message("logits of PyTorch")
        return Reference.of(engine, faces)


def _of_best_faces(reference: Reference) -> Reference:
    positions = chosen(reference.logits, NUM_FACES)
    return Reference(
        reference.faces.at(positions), reference.labels, reference.logits[positions], reference.description
    )


def _with_torch(module: str, flag: str) -> Any:
    """Import a module that imports PyTorch; by name, because the rest of this package must run without it."""
    try:
        return import_module(module)
    except ModuleNotFoundError as err:
        raise MissingDependencyError(
            f"{flag} needs {err.name}, which is not installed. "
            f"Fix: pip install 'fer-toolchain[export,cpu]', or leave {flag} out"
        ) from err


def _json(content: dict[str, Any]) -> bytes:
    return (json.dumps(content, indent=2, ensure_ascii=False, sort_keys=True) + "\n").encode()
