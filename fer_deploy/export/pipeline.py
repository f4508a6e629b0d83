"""Export a checkpoint: write its variants, their plans and a report of their verification.

All artifacts within their limits are published together with the report. A variant or plan that fails does not stop
the others: the report and the exit code name it. If FP32 fails, nothing is written, because all others derive from it.
"""

import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import reduce
from operator import or_
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

from fer_deploy.errors import EngineError, ExportError, FerDeployError, VerificationError
from fer_deploy.export.checkpoint import Checkpoint, load_checkpoint
from fer_deploy.export.config import ExportConfig
from fer_deploy.export.faces import CalibrationFaces
from fer_deploy.export.graph.to_onnx import write_onnx
from fer_deploy.export.int8.convert import Int8Maker, OnMessage, fp16_artifact, open_artifact
from fer_deploy.export.plan.builder import choose_capabilities
from fer_deploy.export.plan.module import load_tensorrt
from fer_deploy.export.plan.plans import BuiltPlan, build_and_verify
from fer_deploy.export.publish import drafted, rename_together, write_together
from fer_deploy.export.report import Report, report_files
from fer_deploy.export.triton.model import TritonSettings
from fer_deploy.export.triton.repository import drafted_models
from fer_deploy.export.variants import Artifact, Variant, artifact_of
from fer_deploy.export.verify.compare import Comparison, Reference, breaches_of, compare
from fer_deploy.export.verify.preparation import calibration_faces, notes_on, slices_of, verification_faces
from fer_deploy.export.verify.torch_engine import DeployedGraph, TorchEngine
from fer_deploy.flavors import Flavor
from fer_deploy.privacy.portable_paths import without_folders_in_text
from fer_deploy.spec import ModelSpec

REPORT, FAILED_REPORT = "report", "report-failed"


@dataclass(frozen=True)
class Exported:
    """Files of an export: models and plans in the order of their creation, and the report's Markdown file."""

    models: tuple[Path, ...]
    plans: tuple[Path, ...]
    report: Path
    comparisons: tuple[Comparison, ...]

    def lines(self) -> list[str]:
        """Return one line per written file."""
        found = {comparison.artifact: comparison for comparison in self.comparisons}
        lines = [f"{path}: {found[path.name].in_words()}" for path in self.models]
        return [*lines, *(f"{path}" for path in self.plans), f"report: {self.report}"]

    @property
    def onnx(self) -> Path:
        """Return the first model; FP32 if it was requested."""
        return self.models[0]


def export(config: ExportConfig, *, on_message: OnMessage = lambda _: None) -> Exported:
    """Write the variants of a checkpoint, their plans and a report (Markdown, PNG, JSON) into `config.out`.

    Each artifact is compared with PyTorch before any is published. A variant or plan that fails is not written, and an
    older file of its name stays. If nothing is written, `report-failed.*` says why.

    Args:
        config: artifacts to write and their limits.
        on_message: called with a message before each step.

    Raises:
        ConfigError: settings contradict each other.
        ArtifactError: the checkpoint, the data or the clip cannot be used.
        MissingDependencyError: the flavor of the plans is not installed.
        ExportError: no valid graph or plan was created, or a folder is not writable.
        VerificationError: an artifact exceeded a limit.
    """
    checkpoint = load_checkpoint(config.checkpoint)
    spec = checkpoint.spec
    if config.build is not None:
        choose_capabilities(load_tensorrt(config.build.flavor), config.build)
    faces, calibration = verification_faces(config, spec), calibration_faces(config, spec)
    slices = slices_of(config, faces, spec)
    notes = notes_on(config, config.chosen, faces, spec)
    for note in notes:
        on_message(f"note: {note}")
    on_message(f"PyTorch on {len(faces)} faces ({faces.source}) and {len(slices)} slices of them")
    with TorchEngine.of(checkpoint, device="cpu") as engine:
        reference = Reference.of(engine, faces, slices)
    try:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            on_message("fp32")
            write_onnx(DeployedGraph(checkpoint.model, spec).eval(), spec, folder / "fp32.onnx", opset=config.opset)
            fp32 = onnx.load(folder / "fp32.onnx", load_external_data=False)
            run = _Run(config, checkpoint, reference, folder, on_message, notes)
            with run.attempt(f"{spec.name}-fp32.onnx (stage onnx)"):
                run.verify(artifact_of(fp32, spec, Variant.FP32, {}))
            run.require_fp32()
            run.make_rest(fp32, spec, calibration)
            run.build_plans()
            run.require_something()
            return _publish(config, run)
    except OSError as err:
        raise ExportError(
            f"cannot write temporary files into {tempfile.gettempdir()}: {err.strerror or err}. No artifact was "
            "written. Fix: free space, or TMPDIR=another folder"
        ) from err


@dataclass(frozen=True)
class _Failure:
    """Reason why an artifact or plan is not written, and the class of the error to raise."""

    text: str
    kind: type[FerDeployError]


class _Run:
    """Artifacts and plans of one export, with their comparisons and failures."""

    def __init__(
        self,
        config: ExportConfig,
        checkpoint: Checkpoint,
        reference: Reference,
        folder: Path,
        on_message: OnMessage,
        notes: tuple[str, ...],
    ) -> None:
        self.config, self.checkpoint, self.reference = config, checkpoint, reference
        self.folder, self.on_message, self.notes = folder, on_message, notes
        self.artifacts: list[Artifact] = []
        self.comparisons: list[Comparison] = []
        self.plans: list[BuiltPlan] = []
        self.failures: list[_Failure] = []

    @contextmanager
    def attempt(self, what: str) -> Iterator[None]:
        """Record an error as a failure, so the export continues with the other artifacts."""
        try:
            yield
        except (EngineError, VerificationError) as err:
            self.failures.append(_Failure(f"{what}: {err}", VerificationError))
        except FerDeployError as err:
            self.failures.append(_Failure(f"{what}: {err}", type(err)))

    def verify(self, artifact: Artifact, logits: NDArray[np.float32] | None = None) -> None:
        """Compare an artifact with the reference and add the metrics to its spec; an exceeded limit is a failure.

        `logits` (N, C) are its logits for all faces, if already known.
        """
        stage = "onnx" if artifact.variant is Variant.FP32 else "converted"
        with open_artifact(artifact) as engine:
            found = compare(self.reference, engine, artifact=artifact.name, stage=stage, logits=logits)
        artifact = artifact.measured(found.for_spec(self.reference))
        found = replace(found, breaches=breaches_of(found, self.config.limits_of(artifact.variant)))
        onnx.save_model(artifact.model, self.folder / artifact.name)
        self.artifacts.append(artifact)
        self.comparisons.append(found)
        self._note_breaches(found)

    def make_rest(self, fp32: onnx.ModelProto, spec: ModelSpec, faces: CalibrationFaces | None) -> None:
        """Create and verify the other requested variants; INT8 only with faces for its ranges."""
        chosen, limits_of = self.config.chosen, self.config.limits_of
        if Variant.FP16 in chosen:
            self.on_message("fp16")
            with self.attempt(f"{spec.name}-fp16.onnx (stage converted)"):
                self.verify(fp16_artifact(fp32, spec))
        wanted = [variant for variant in chosen if variant.scheme is not None]
        if not wanted or faces is None:
            return
        names = ", ".join(f"{spec.name}-{variant}.onnx" for variant in wanted)
        with self.attempt(f"{names} (stage converted)"):
            maker = Int8Maker(fp32, spec, faces, self.config.calibration.method, self.folder, self.on_message)
            for variant in wanted:
                with self.attempt(f"{spec.name}-{variant}.onnx (stage converted)"):
                    self.verify(*maker.artifact(variant, self.reference, limits_of(variant)))

    def build_plans(self) -> None:
        """Build the plans of all sound artifacts and verify those that this machine can run."""
        if self.config.build is None:
            return
        for artifact in self.sound_artifacts:
            if artifact.variant.is_for_tensorrt:
                path = self.folder / artifact.name
                self.on_message(f"plan of {path.name}")
                with self.attempt(f"{path.stem}.plan (stage engine)"):
                    limits = self.config.limits_of(artifact.variant)
                    self.plans.append(build_and_verify(path, self.config.build, self.reference, limits))
                    if self.plans[-1].comparison is not None:
                        self._note_breaches(self.plans[-1].comparison)

    @property
    def sound_artifacts(self) -> list[Artifact]:
        """Return the requested artifacts that are within their limits; FP32 is created in any case."""
        return [
            artifact
            for artifact, found in zip(self.artifacts, self.comparisons, strict=True)
            if artifact.variant in self.config.chosen and not found.breaches
        ]

    @property
    def sound_plans(self) -> list[BuiltPlan]:
        """Return the plans that are within their limits or cannot run here."""
        return [plan for plan in self.plans if plan.comparison is None or not plan.comparison.breaches]

    def report(self) -> Report:
        """Return the report of all artifacts and failures."""
        report = Report.of(
            self.config, self.checkpoint, self.reference, self.artifacts, self.comparisons, self.plans, self.folder
        )
        failure = without_folders_in_text("; ".join(failure.text for failure in self.failures)) or None
        written = {artifact.name for artifact in self.sound_artifacts} | {plan.path.name for plan in self.sound_plans}
        return report.with_outcome(failure=failure, written=written, notes=self.notes)

    def require_fp32(self) -> None:
        """Write a failure report and raise if FP32 failed, because all others derive from it."""
        if self.failures:
            raise self.error(self._write_failed())

    def require_something(self) -> None:
        """Write a failure report and raise if there is nothing to write."""
        if self.failures and not self.sound_artifacts:
            raise self.error(self._write_failed())

    def error(self, outcome: str) -> FerDeployError:
        """Return the error of the first failure, with the text of all failures and `outcome`: what was written."""
        texts = "\n".join(failure.text for failure in self.failures)
        return self.failures[0].kind(f"{texts}\n{outcome}")

    def _note_breaches(self, found: Comparison) -> None:
        if found.breaches:
            self.failures.append(
                _Failure(
                    f"{found.artifact} (stage {found.stage}) differs from PyTorch on {found.num_faces} faces "
                    f"({self.reference.faces.source}): {'; '.join(found.breaches)}. Fix: other limits in the config, "
                    "or another checkpoint",
                    VerificationError,
                )
            )

    def _write_failed(self) -> str:
        """Write `report-failed.*` and return a message with its path; a full disk must not hide the failure."""
        files = report_files(self.report(), FAILED_REPORT)
        try:
            write_together({self.config.out / name: content for name, content in files.items()})
        except ExportError as err:
            return f"No artifact was written, and no report ({err})."
        return f"No artifact was written. See {self.config.out / FAILED_REPORT}.md."


def _publish(config: ExportConfig, run: _Run) -> Exported:
    """Publish all sound models, plans, the report and, if requested, the Triton repository in one step.

    Raises:
        FerDeployError: something failed; sound artifacts have been written.
    """
    files = {config.out / artifact.name: (run.folder / artifact.name).read_bytes() for artifact in run.sound_artifacts}
    models, plans = tuple(files), run.sound_plans
    for plan in plans:
        files |= {config.out / path.name: path.read_bytes() for path in plan.files}
    files |= {config.out / name: content for name, content in report_files(run.report(), REPORT).items()}
    with ExitStack() as stack:
        drafts = [stack.enter_context(served) for served in _served(config, run)]
        rename_together(reduce(or_, drafts, stack.enter_context(drafted(files))))
    for failed in config.out.glob(f"{FAILED_REPORT}.*"):
        failed.unlink()
    built = tuple(config.out / plan.path.name for plan in plans)
    if run.failures:
        names = ", ".join(path.name for path in (*models, *built))
        raise run.error(f"Still written: {names} in {config.out}. See {config.out / REPORT}.md.")
    return Exported(models, built, config.out / f"{REPORT}.md", tuple(run.comparisons))


def _served(config: ExportConfig, run: _Run) -> Iterator[AbstractContextManager[dict[Path, Path]]]:
    """Yield the Triton models: plans for its TensorRT backend, graphs that ONNX Runtime runs fast."""
    if config.triton is None:
        return
    graphs = {artifact.variant: run.folder / artifact.name for artifact in run.sound_artifacts}
    on_any = [graphs[variant] for variant in (Variant.FP32, Variant.FP16) if variant in graphs]
    loadable = [plan.path for plan in run.sound_plans if plan.manifest.flavor is Flavor.TENSORRT]
    if on_any or loadable:
        yield drafted_models([*on_any, *loadable], config.triton)
    if Variant.INT8_CPU in graphs:
        yield drafted_models([graphs[Variant.INT8_CPU]], config.triton, settings=TritonSettings(device="cpu"))
