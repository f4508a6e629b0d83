"""Read a folder of fer-deploy export: what its report lists, checked against the files."""

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import onnx
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fer_deploy.errors import ArtifactError
from fer_deploy.export.graph.source import read_onnx
from fer_deploy.export.variants import Variant
from fer_deploy.export.verify.opening import variant_of
from fer_deploy.manifest import PlanManifest, read_manifest
from fer_deploy.pack.archive import REPORT, is_member_name
from fer_deploy.spec import ModelSpec, describe_faults

_MAX_REPORT_BYTES: Final = 2**24


class _Listed(BaseModel):
    model_config = ConfigDict(frozen=True)

    name: Annotated[str, Field(max_length=200)]
    sha256: str
    written: bool = True


class _Checkpoint(BaseModel):
    model_config = ConfigDict(frozen=True)

    name: str
    sha256: str


class _ReportFile(BaseModel):
    model_config = ConfigDict(frozen=True)

    format: Literal["fer-export-report-1"]
    checkpoint: _Checkpoint
    artifacts: tuple[_Listed, ...]
    plans: tuple[_Listed, ...] = ()


@dataclass(frozen=True)
class Model:
    """One ONNX file of the export.

    Attributes:
        path: of the file.
        variant: of its graph.
        content: its bytes, whose digest is the report's.
        spec: its ModelSpec.
    """

    path: Path
    variant: Variant
    content: bytes
    spec: ModelSpec


@dataclass(frozen=True)
class ExportFolder:
    """An export that is complete and undamaged.

    Attributes:
        path: of the folder.
        report: content of report.json.
        report_bytes: the same as bytes.
        checkpoint_sha256: digest of the checkpoint that was exported.
        models: by variant, in the order of `Variant`.
        plans: manifests of the plans that are there.
    """

    path: Path
    report: Mapping[str, Any]
    report_bytes: bytes
    checkpoint_sha256: str
    models: Mapping[Variant, Model]
    plans: tuple[PlanManifest, ...]

    @property
    def fp32(self) -> Model:
        """The model that all others derive from."""
        return self.models[Variant.FP32]


def read_export(folder: Path) -> ExportFolder:
    """Read the report of an export and the models that it lists.

    Raises:
        ArtifactError: no folder, no report, no FP32 model, a file that is missing or that the report does not describe,
            or one that is no model.
    """
    if not folder.is_dir():
        raise ArtifactError(f"no folder {folder}. Fix: the folder that fer-deploy export --out wrote")
    content, report = _read_report(folder)
    models: dict[Variant, Model] = {}
    for listed in report.artifacts:
        if listed.written:
            model = _read_model(folder, listed, report.checkpoint.name)
            models[model.variant] = model
    if Variant.FP32 not in models:
        raise ArtifactError(
            f"{folder} has no FP32 model, from which another machine could make the others. Fix: export again with "
            "--variant fp32 added"
        )
    plans = [folder / listed.name for listed in report.plans if listed.written]
    return ExportFolder(
        path=folder,
        report=json.loads(content),
        report_bytes=content,
        checkpoint_sha256=report.checkpoint.sha256,
        models={variant: models[variant] for variant in Variant if variant in models},
        plans=tuple(read_manifest(plan) for plan in plans if plan.exists()),
    )


def _read_report(folder: Path) -> tuple[bytes, _ReportFile]:
    path = folder / REPORT
    fix = "Fix: the folder that fer-deploy export --out wrote, or export again"
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_REPORT_BYTES + 1)
        if len(content) > _MAX_REPORT_BYTES:
            raise ArtifactError(f"{path} is larger than {_MAX_REPORT_BYTES:,} bytes, so it is no report. {fix}")
        return content, _ReportFile.model_validate_json(content)
    except FileNotFoundError as err:
        raise ArtifactError(f"{folder} is no export: it has no {REPORT}. {fix}") from err
    except OSError as err:
        raise ArtifactError(f"cannot read {path}: {err.strerror or err}. {fix}") from err
    except ValidationError as err:
        raise ArtifactError(
            f"{path} is no report of an export that this version reads ({describe_faults(err, whole='file')}). {fix}"
        ) from err


def _read_model(folder: Path, listed: _Listed, checkpoint: str) -> Model:
    path = folder / listed.name
    fix = f"Fix: fer-deploy export --checkpoint {shlex.quote(checkpoint)} --out {shlex.quote(str(folder))}"
    if not is_member_name(listed.name):
        raise ArtifactError(f"{folder / REPORT} lists {listed.name[:100]!r}, which no export writes. {fix}")
    if not path.exists():
        raise ArtifactError(f"{folder} is incomplete: {listed.name} is missing, which its report lists. {fix}")
    source = read_onnx(path)
    if source.sha256 != listed.sha256:
        raise ArtifactError(
            f"{path} is not the file that was exported: its SHA-256 is {source.sha256}, {REPORT} says {listed.sha256}. "
            f"{fix}"
        )
    variant = variant_of(onnx.ModelProto.FromString(source.content), source.spec.precision.value, where=path)
    return Model(path, variant, source.content, source.spec)
