"""The artifacts of one model in a folder: what each is, and the accuracy that its export measured."""

import shlex
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fer_deploy.artifacts import file_sha256, read_model_file, require_file
from fer_deploy.engines import PLAN_SUFFIXES
from fer_deploy.engines.foreign_file import PACK_SUFFIX, require_own_file
from fer_deploy.engines.onnx_file.messages import metadata_of
from fer_deploy.errors import ArtifactError, FerDeployError
from fer_deploy.manifest import read_manifest
from fer_deploy.spec import ARTIFACT_METRICS, SPEC_KEY, VARIANT_KEY, ModelSpec, spec_from_json

PLAN: Final = "plan"
INT8_FOR_TENSORRT: Final = "int8"
_SUFFIXES: Final = (".onnx", *PLAN_SUFFIXES)


@dataclass(frozen=True)
class Artifact:
    """One file that can be run.

    Attributes:
        path: of the file.
        num_bytes: its size.
        sha256: of its bytes.
        spec: its ModelSpec.
        kind: "fp32", "fp16", "int8" (for TensorRT), "int8-cpu", or "plan".
    """

    path: Path
    num_bytes: int
    sha256: str
    spec: ModelSpec
    kind: str

    @property
    def accuracy_change(self) -> float | None:
        """Points of accuracy against the checkpoint, as the export measured them on labelled faces; None: it did not.

        The numbers are those of the export's report. They are read from the ModelSpec, which travels with the file.
        """
        change = self._measured.get("accuracy_change")
        return 100 * change if isinstance(change, int | float) else None

    @property
    def accuracy(self) -> float | None:
        """Accuracy in % on the same faces, or None."""
        accuracy = self._measured.get("accuracy")
        return 100 * accuracy if isinstance(accuracy, int | float) else None

    @property
    def agreement(self) -> float | None:
        """Share of faces with the checkpoint's emotion, 0 to 1, as the export measured it; None: it did not."""
        agreement = self._measured.get("agreement")
        return agreement if isinstance(agreement, int | float) else None

    @property
    def faces(self) -> str:
        """The faces of these measurements, as text; empty without any."""
        num, faces = self._measured.get("num_faces"), self._measured.get("faces")
        return f"{num:,} faces: {faces}" if isinstance(num, int) and isinstance(faces, str) else ""

    @property
    def _measured(self) -> dict[str, object]:
        found = self.spec.metrics.get(ARTIFACT_METRICS)
        return found if isinstance(found, dict) else {}


@dataclass(frozen=True)
class Skipped:
    """What is not measured, and why."""

    what: str
    reason: str


def read_folder(folder: Path, only: Collection[str] | None = None) -> tuple[list[Artifact], list[Skipped]]:
    """Return the artifacts of a folder by name, and the files that look like artifacts and are none.

    Args:
        folder: of one model; or of several, of which `only` names the files of one.
        only: names of files; None: all.

    Raises:
        ArtifactError: the folder is missing, is a file, has no artifact, or has those of several models.
    """
    artifacts: list[Artifact] = []
    skipped: list[Skipped] = []
    for path in _candidates(folder):
        if only is not None and path.name not in only:
            continue
        try:
            artifacts.append(read_artifact(path))
        except FerDeployError as err:
            skipped.append(Skipped(path.name, str(err)))
    if only is None:
        skipped += [Skipped(path.name, f"it is a pack. Fix: {_rebuild(path)}") for path in _packs(folder)]
    if not artifacts:
        reasons = "".join(f"\n  {one.what}: {one.reason}" for one in skipped)
        raise ArtifactError(f"none of the files in {folder} is a model that can be measured:{reasons}")
    _require_one_model(folder, artifacts)
    return artifacts, skipped


def read_artifact(path: Path) -> Artifact:
    """Return what a file says of itself. No runtime opens it.

    Raises:
        ArtifactError: it is not an ONNX file with a ModelSpec, or a plan with a manifest.
    """
    require_file(path, fix="export the model again, or remove the file")
    require_own_file(path)
    if path.suffix in PLAN_SUFFIXES:
        return Artifact(path, path.stat().st_size, file_sha256(path), read_manifest(path).spec, PLAN)
    found = metadata_of(read_model_file(path))
    if SPEC_KEY not in found:
        raise ArtifactError(
            f"{path} has no ModelSpec, so it is no emotion model, or only a part of one. Fix: move it to another "
            "folder, or export it again"
        )
    spec = spec_from_json(found[SPEC_KEY], where=str(path))
    kind = found.get(VARIANT_KEY, spec.precision.value)
    return Artifact(path, path.stat().st_size, file_sha256(path), spec, kind)


def _candidates(folder: Path) -> list[Path]:
    fix = f"fer-deploy export --checkpoint CHECKPOINT --out {shlex.quote(str(folder))}"
    try:
        if not folder.exists():
            raise ArtifactError(f"no folder {folder}. Fix: {fix}")
        if not folder.is_dir():
            parent = shlex.quote(str(folder.parent))
            fix = _rebuild(folder) if folder.suffix == PACK_SUFFIX else f"fer-deploy bench {parent}"
            raise ArtifactError(f"{folder} is a file, expected a folder of models. Fix: {fix}")
        found = sorted(path for path in folder.iterdir() if path.suffix in _SUFFIXES)
        inside = [path for path in sorted(folder.iterdir()) if path.is_dir() and _has_models(path)]
    except OSError as err:
        raise ArtifactError(f"cannot read {folder}: {err.strerror or err}. Fix: check its permissions") from err
    if found:
        return found
    if packs := _packs(folder):
        fix = _rebuild(packs[0])
    elif inside:
        fix = f"fer-deploy bench {shlex.quote(str(inside[0]))}, which has some"
    raise ArtifactError(f"{folder} has no model ({', '.join(_SUFFIXES)}). Fix: {fix}")


def _packs(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.suffix == PACK_SUFFIX)
    except OSError:
        return []


def _rebuild(pack: Path) -> str:
    """Return the command that unpacks, builds and measures a pack, as text after "Fix:"."""
    out = pack.with_suffix("")
    return f"fer-deploy rebuild {shlex.quote(str(pack))} --out {shlex.quote(str(out))}, which measures it, too"


def _has_models(folder: Path) -> bool:
    try:
        return any(path.suffix in _SUFFIXES for path in folder.iterdir())
    except OSError:
        return False


def _require_one_model(folder: Path, artifacts: Sequence[Artifact]) -> None:
    models = {(one.spec.name, one.spec.labels): one.path.name for one in reversed(artifacts)}
    if len(models) > 1:
        files = ", ".join(f"{name} ({file})" for (name, _), file in reversed(models.items()))
        raise ArtifactError(
            f"{folder} has the artifacts of {len(models)} models: {files}. Their accuracy cannot be compared. "
            "Fix: one folder for each model"
        )
