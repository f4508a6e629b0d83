"""Build the plan of a graph and, if this machine can run it, compare it with PyTorch."""

from dataclasses import dataclass, replace
from pathlib import Path

from fer_deploy.engines import open_engine
from fer_deploy.environment import survey
from fer_deploy.errors import MissingDependencyError
from fer_deploy.export.measured import measured
from fer_deploy.export.plan.build import build_plan
from fer_deploy.export.plan.config import BuildConfig
from fer_deploy.export.verify.compare import Comparison, Reference, breaches_of, compare
from fer_deploy.export.verify.scores import Limits
from fer_deploy.manifest import PlanManifest, manifest_json, manifest_path
from fer_deploy.plan_compatibility import describe_mismatches, find_mismatches


@dataclass(frozen=True)
class BuiltPlan:
    """A plan with its manifest.

    Attributes:
        path: the plan.
        manifest: the manifest beside it.
        comparison: comparison with PyTorch; None: this machine cannot run the plan.
        not_run: the reason for None, else empty.
    """

    path: Path
    manifest: PlanManifest
    comparison: Comparison | None
    not_run: str

    @property
    def files(self) -> tuple[Path, Path]:
        """Return the paths of plan and manifest."""
        return self.path, manifest_path(self.path)


def build_and_verify(
    onnx: Path, config: BuildConfig, reference: Reference, limits: Limits, *, out: Path | None = None
) -> BuiltPlan:
    """Build a plan and run it on the reference's faces if this machine can.

    A plan that fits this machine but does not load is a failure, not a plan that was not run.

    Args:
        onnx: model to build.
        config: flavor, batch sizes, targets.
        reference: logits that the plan is compared with.
        limits: of the model's variant.
        out: file to write; None: `<onnx stem>.plan` beside the model.

    Raises:
        ExportError, ConfigError, MissingDependencyError: see `build_plan`.
        EngineError, ArtifactError: the plan fits this machine but does not load.
    """
    plan = onnx.with_suffix(".plan") if out is None else out
    manifest = build_plan(onnx, plan, config)
    if mismatches := find_mismatches(manifest, survey().host):
        return BuiltPlan(plan, manifest, None, describe_mismatches(plan, manifest, mismatches).splitlines()[0])
    try:
        engine = open_engine(plan, device="cuda")
    except MissingDependencyError as err:
        return BuiltPlan(plan, manifest, None, str(err).replace(str(plan), plan.name))
    with engine:
        found = compare(reference, engine, artifact=plan.name, stage="engine")
    found = replace(found, breaches=breaches_of(found, limits))
    spec = measured(manifest.spec, found.for_spec(reference))
    manifest = manifest.model_copy(update={"report": found.to_dict(), "spec": spec})
    manifest_path(plan).write_text(manifest_json(manifest))
    return BuiltPlan(plan, manifest, found, "")
