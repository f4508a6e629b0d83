"""export: a checkpoint in; every variant, its plan and the proof out. All take their names together, or none does."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import reduce
from operator import or_
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

from fer_deploy.errors import EngineError, ExportError, VerificationError
from fer_deploy.export.checkpoint import draw_calibration_faces, load_checkpoint, load_judged_faces
from fer_deploy.export.config import ExportConfig
from fer_deploy.export.convert import Int8Maker, fp16_artifact, open_artifact
from fer_deploy.export.faces import CalibrationFaces, JudgedFaces
from fer_deploy.export.plans import BuiltPlan, build_and_judge
from fer_deploy.export.portrait import SOURCE, portrait_faces
from fer_deploy.export.publish import drafted, rename_together, write_together
from fer_deploy.export.report import Report, report_files
from fer_deploy.export.to_onnx import write_onnx
from fer_deploy.export.torch_engine import DeployedGraph, TorchEngine
from fer_deploy.export.triton import drafted_models
from fer_deploy.export.triton_model import TritonSettings
from fer_deploy.export.variants import Artifact, Variant, artifact_of
from fer_deploy.export.verify import Comparison, Reference, breaches_of, compare
from fer_deploy.flavors import Flavor
from fer_deploy.portable_paths import without_folders_in_text
from fer_deploy.spec import ModelSpec

Tell = Callable[[str], None]
REPORT, FAILED_REPORT = "report", "report-failed"


@dataclass(frozen=True)
class Exported:
    """What an export left behind: models and plans in the order they were made, and the report's Markdown file."""

    models: tuple[Path, ...]
    plans: tuple[Path, ...]
    report: Path
    comparisons: tuple[Comparison, ...]

    def lines(self) -> list[str]:
        """Return what was written, a line a file."""
        found = {comparison.artifact: comparison for comparison in self.comparisons}
        lines = [f"{path}: {found[path.name].in_words()}" for path in self.models]
        return [*lines, *(f"{path}" for path in self.plans), f"report: {self.report}"]

    @property
    def onnx(self) -> Path:
        """The first model; FP32 where it was asked for."""
        return self.models[0]


def export(config: ExportConfig, *, tell: Tell = lambda _: None) -> Exported:
    """Write the variants of a checkpoint, their plans and a report (Markdown, PNG, JSON) into `config.out`.

    Each is held against PyTorch before anything takes its name; on a failure the artifacts in `config.out` are as they
    were, and `report-failed.*` says which stage broke which limit.

    Args:
        config: what to make and what it may lose.
        tell: hears each step before it begins.

    Raises:
        ConfigError: contradictory settings.
        ArtifactError: the checkpoint or the data cannot be used.
        ExportError: no valid graph or plan came out, or a folder cannot be written.
        VerificationError: an artifact broke a limit.
    """
    model, spec = load_checkpoint(config.checkpoint)
    faces, calibration = judged_faces(config, spec), _calibration_faces(config, spec)
    tell(f"PyTorch on {len(faces)} faces ({faces.source})")
    with TorchEngine.open(config.checkpoint, device="cpu") as engine:
        reference = Reference.of(engine, faces)
    try:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            tell("fp32")
            write_onnx(DeployedGraph(model, spec).eval(), spec, folder / "fp32.onnx", opset=config.opset)
            fp32 = onnx.load(folder / "fp32.onnx", load_external_data=False)
            run = _Run(config, reference, folder, tell)
            run.judge(artifact_of(fp32, spec, Variant.FP32, {}))
            run.make_rest(fp32, spec, calibration)
            run.require_kept(())
            plans = run.build_plans()
            report = run.report(plans)
            return _publish(config, run, plans, report)
    except OSError as err:
        raise ExportError(
            f"cannot write temporary files into {tempfile.gettempdir()}: {err.strerror or err}. No artifact was "
            "written. Fix: free space, or TMPDIR=another folder"
        ) from err


def judged_faces(config: ExportConfig, spec: ModelSpec) -> JudgedFaces:
    """Return the faces that the config names, or those of the portrait."""
    if config.data is None:
        return JudgedFaces(portrait_faces(spec.input), None, SOURCE)
    return load_judged_faces(config.data, split=config.split, limit=config.num_faces, spec=spec)


def _calibration_faces(config: ExportConfig, spec: ModelSpec) -> CalibrationFaces | None:
    """Return faces for INT8 ranges before anything is made, so that a wrong split costs no export; None: no INT8."""
    if config.data is None or not any(variant.scheme for variant in config.chosen):
        return None
    how = config.calibration
    return draw_calibration_faces(config.data, split=how.split, count=how.num_faces, seed=how.seed, spec=spec)


class _Run:
    """The artifacts of one export, as they are made and judged."""

    def __init__(self, config: ExportConfig, reference: Reference, folder: Path, tell: Tell) -> None:
        self.config, self.reference, self.folder, self.tell = config, reference, folder, tell
        self.artifacts: list[Artifact] = []
        self.comparisons: list[Comparison] = []

    def judge(self, artifact: Artifact, logits: NDArray[np.float32] | None = None) -> None:
        """Compare; a broken FP32 ends the export, for all others are made from it.

        Args:
            artifact: gets what is found into its spec.
            logits: (N, C), its own for all faces where they are known already.
        """
        stage = "onnx" if artifact.variant is Variant.FP32 else "converted"
        with self._gate(f"{artifact.name} (stage {stage})"), open_artifact(artifact) as engine:
            found = compare(self.reference, engine, artifact=artifact.name, stage=stage, logits=logits)
        limits = self.config.limits_of(artifact.variant)
        artifact = artifact.measured(found.for_spec(self.reference))
        self.artifacts.append(artifact)
        self.comparisons.append(replace(found, breaches=breaches_of(found, limits)))
        onnx.save_model(artifact.model, self.folder / artifact.name)
        if artifact.variant is Variant.FP32:
            self.require_kept(())

    def make_rest(self, fp32: onnx.ModelProto, spec: ModelSpec, faces: CalibrationFaces | None) -> None:
        """Make and judge the other variants that were asked for; INT8 where there are faces for its ranges."""
        chosen = self.config.chosen
        if Variant.FP16 in chosen:
            self.tell("fp16")
            self.judge(fp16_artifact(fp32, spec))
        wanted = [variant for variant in chosen if variant.scheme is not None]
        if not wanted or faces is None:
            return
        maker = Int8Maker(fp32, spec, faces, self.config.calibration.method, self.folder, self.tell)
        for variant in wanted:
            with self._gate(f"{spec.architecture}-{variant}.onnx (stage converted)"):
                made, logits = maker.artifact(variant, self.reference, max_accuracy_drop=self.config.max_accuracy_drop)
            self.judge(made, logits)

    def build_plans(self) -> tuple[BuiltPlan, ...]:
        """Build and, where this machine can run them, judge the plans."""
        if self.config.build is None:
            return ()
        plans: list[BuiltPlan] = []
        for artifact in self.written:
            if artifact.variant.is_for_tensorrt:
                path = self.folder / artifact.name
                self.tell(f"plan of {path.name}")
                limits = self.config.limits_of(artifact.variant)
                with self._gate(f"{path.stem}.plan (stage engine)", tuple(plans)):
                    plans.append(build_and_judge(path, self.config.build, self.reference, limits))
        return tuple(plans)

    @property
    def written(self) -> list[Artifact]:
        """The artifacts that were asked for; FP32 is always made."""
        return [artifact for artifact in self.artifacts if artifact.variant in self.config.chosen]

    def report(self, plans: tuple[BuiltPlan, ...]) -> Report:
        """Return the report of an export whose limits all hold."""
        self.require_kept(plans)
        return self._report(plans)

    def _report(self, plans: tuple[BuiltPlan, ...]) -> Report:
        return Report.of(self.config, self.reference, self.artifacts, self.comparisons, plans, self.folder)

    def require_kept(self, plans: tuple[BuiltPlan, ...]) -> None:
        """Raise for the first stage that broke a limit, after a report of all that was found."""
        found = [*self.comparisons, *(plan.comparison for plan in plans if plan.comparison is not None)]
        guilty = next((comparison for comparison in found if comparison.breaches), None)
        if guilty is None:
            return
        failure = (
            f"{guilty.artifact} (stage {guilty.stage}) differs from PyTorch on {guilty.num_faces} faces "
            f"({self.reference.faces.source}): {'; '.join(guilty.breaches)}"
        )
        written = self._write_failed(failure, plans)
        raise VerificationError(f"{failure}. {written} Fix: other limits in the config, or another checkpoint")

    @contextmanager
    def _gate(self, what: str, plans: tuple[BuiltPlan, ...] = ()) -> Iterator[None]:
        """Make what keeps an artifact from being judged a failed export; an earlier breach comes first."""
        try:
            yield
        except (EngineError, VerificationError) as err:
            self.require_kept(plans)
            failure = f"{what}: {err}"
            raise VerificationError(f"{failure}\n{self._write_failed(failure, plans)}") from err

    def _write_failed(self, failure: str, plans: tuple[BuiltPlan, ...]) -> str:
        """Write `report-failed.*` and return where it is, in words; a full disk must not hide the failure."""
        report = Report(self._report(plans).content | {"failure": without_folders_in_text(failure)})
        files = report_files(report, FAILED_REPORT)
        try:
            write_together({self.config.out / name: content for name, content in files.items()})
        except ExportError as err:
            return f"No artifact was written, nor a report of it ({err})."
        return f"No artifact was written. See {self.config.out / FAILED_REPORT}.md."


def _publish(config: ExportConfig, run: _Run, plans: tuple[BuiltPlan, ...], report: Report) -> Exported:
    """Give everything its name at once: models, plans, report and, if asked for, the Triton repository."""
    files = {config.out / artifact.name: (run.folder / artifact.name).read_bytes() for artifact in run.written}
    models = tuple(files)
    for plan in plans:
        files |= {config.out / path.name: path.read_bytes() for path in plan.files}
    files |= {config.out / name: content for name, content in report_files(report, REPORT).items()}
    with ExitStack() as stack:
        drafts = [stack.enter_context(served) for served in _served(config, run, plans)]
        rename_together(reduce(or_, drafts, stack.enter_context(drafted(files))))
    for failed in config.out.glob(f"{FAILED_REPORT}.*"):
        failed.unlink()
    built = tuple(config.out / plan.path.name for plan in plans)
    return Exported(models, built, config.out / f"{REPORT}.md", tuple(run.comparisons))


def _served(
    config: ExportConfig, run: _Run, plans: tuple[BuiltPlan, ...]
) -> Iterator[AbstractContextManager[dict[Path, Path]]]:
    """Return the Triton models: plans that its TensorRT backend loads, graphs that ONNX Runtime is fast with."""
    if config.triton is None:
        return
    graphs = {artifact.variant: run.folder / artifact.name for artifact in run.written}
    on_any = [graphs[variant] for variant in (Variant.FP32, Variant.FP16) if variant in graphs]
    loadable = [plan.path for plan in plans if plan.manifest.flavor is Flavor.TENSORRT]
    if on_any or loadable:
        yield drafted_models([*on_any, *loadable], config.triton)
    if Variant.INT8_CPU in graphs:
        yield drafted_models([graphs[Variant.INT8_CPU]], config.triton, settings=TritonSettings(device="cpu"))
