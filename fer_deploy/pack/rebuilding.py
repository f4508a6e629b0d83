"""Rebuild a pack on this machine: check it, build its plans, verify every artifact against the saved logits.

Neither PyTorch nor data are needed. What breaks a limit is not written.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

from fer_deploy.engines.base import Device
from fer_deploy.environment import survey
from fer_deploy.errors import ArtifactError, EngineError, FerDeployError, VerificationError
from fer_deploy.export.plan.config import BuildConfig
from fer_deploy.export.plan.module import load_tensorrt
from fer_deploy.export.plan.plans import BuiltPlan, build_and_verify
from fer_deploy.export.publish import drafts_in, rename_together
from fer_deploy.export.variants import Variant
from fer_deploy.export.verify.against_saved import verify_saved
from fer_deploy.export.verify.compare import Comparison
from fer_deploy.export.verify.saved_io import SavedIO, io_from_bytes
from fer_deploy.flavors import Flavor
from fer_deploy.manifest import BatchProfile
from fer_deploy.pack.archive import IO, MANIFEST, RECIPE, read_pack
from fer_deploy.pack.outcome import RECORD, Outcome, Row, require_folder
from fer_deploy.pack.recipe import limits_of, packed_difference, profile_of
from fer_deploy.privacy.portable_paths import without_folders_in_text
from fer_deploy.settings import Settings

OnMessage = Callable[[str], None]
_PLAN_NAMES: Final = {Flavor.TENSORRT: ".plan", Flavor.TENSORRT_RTX: "-rtx.plan"}
"""End of a plan's name: both flavors can be built of one model."""

_SHORT_NAMES: Final = {Flavor.TENSORRT: "TRT", Flavor.TENSORRT_RTX: "RTX"}


class RebuildConfig(Settings):
    """Settings of `rebuild`; None leaves the choice to the machine or to the pack."""

    pack: Path
    out: Path
    flavor: Flavor | None = None
    profile: BatchProfile | None = None

    def flavors(self) -> tuple[Flavor, ...]:
        """Return the flavors to build with: the given one, or both."""
        return tuple(Flavor) if self.flavor is None else (self.flavor,)


def rebuild(config: RebuildConfig, *, on_message: OnMessage = lambda _: None) -> Outcome:
    """Unpack, build and verify; the folder gets the pack's files, the plans, and `rebuild.json` with the results.

    Args:
        config: pack, folder and flavor.
        on_message: called with a message before each step.

    Raises:
        ArtifactError: the pack is damaged, or no pack.
        ConfigError: the folder holds something else.
        ExportError: the folder is not writable.
        MissingDependencyError: the given flavor is not installed.
    """
    on_message(f"checking {config.pack}")
    pack = read_pack(config.pack)
    contents = {name: pack.read(name) for name in pack.manifest.members}
    saved = io_from_bytes(contents[IO], where=f"{IO} in {config.pack}", fix="Fix: make the pack again")
    earlier = require_folder(config.out, pack.sha256)
    if config.flavor is not None:
        load_tensorrt(config.flavor)
    with drafts_in(config.out, flag="--out", names="the files of the pack") as folder:
        for name, content in contents.items():
            (folder / name).write_bytes(content)
        (folder / MANIFEST).write_text(pack.manifest.model_dump_json(indent=2) + "\n")
        recipe = _read_recipe(contents[RECIPE], config.pack)
        run = _Run(folder, saved, f"{IO} in {config.pack}", recipe, on_message)
        for name in pack.manifest.models:
            run.verify(name)
        for flavor in config.flavors():
            run.build_all(pack.manifest.models, flavor, config.profile or profile_of(recipe))
        outcome = Outcome(config.out, pack.manifest.model, pack.sha256, saved, tuple(run.rows), run.failure())
        (folder / RECORD).write_text(json.dumps(outcome.to_dict(survey()), indent=2, ensure_ascii=False) + "\n")
        broken = {name for row in run.rows if row.is_broken for name in (row.name, f"{row.name}.json")}
        kept = [path for path in folder.iterdir() if path.name not in broken]
        rename_together({path: config.out / path.name for path in kept})
    for name in earlier - {path.name for path in kept}:
        (config.out / name).unlink(missing_ok=True)
    return outcome


@dataclass
class _Run:
    """What was built and verified so far.

    Attributes:
        folder: with the unpacked files.
        saved: inputs and logits.
        where: their file, for errors.
        recipe: of the pack.
        on_message: called with a message before each step.
    """

    folder: Path
    saved: SavedIO
    where: str
    recipe: dict[str, Any]
    on_message: OnMessage
    rows: list[Row] = field(default_factory=list)
    failures: list[FerDeployError] = field(default_factory=list)

    def verify(self, name: str) -> None:
        """Compare an ONNX file with the saved logits."""
        self.on_message(f"verifying {name}")
        variant = _variant_of(name)
        device: Device = "cpu" if variant is Variant.INT8_CPU else "auto"
        with self._reported(name, "pack", must_work=False):
            limits = partial(limits_of, self.recipe, name)
            found = verify_saved(self.folder / name, self.saved, limits, where=self.where, device=device)
            self._add(name, name, "pack", found, "")

    def build_all(self, names: list[str], flavor: Flavor, profile: BatchProfile) -> None:
        """Build and verify the plans of one flavor; if it cannot build here, one row says why."""
        if (reason := _why_not(flavor)) is not None:
            self.rows.append(Row(f"{_SHORT_NAMES[flavor]} plans", "", None, reason, is_plan=True))
            return
        for name in names:
            variant = _variant_of(name)
            if variant.is_for_tensorrt:
                self._build(name, variant, BuildConfig(flavor=flavor, profile=profile))

    def _build(self, name: str, variant: Variant, config: BuildConfig) -> None:
        source = self.folder / name
        plan = source.with_name(source.stem + _PLAN_NAMES[config.flavor])
        if any(row.name == name and row.is_broken for row in self.rows):
            reason = f"{name} fails here, and a plan of it would, too"
            self.rows.append(Row(plan.name, "", None, reason, is_plan=True))
            return
        self.on_message(f"building {plan.name} with {config.flavor.display_name}")
        with self._reported(plan.name, "", must_work=True):
            limits = limits_of(self.recipe, name, variant)
            built = build_and_verify(source, config, self.saved.as_reference(), limits, out=plan)
            self._add(plan.name, name, _how_built(built), built.comparison, built.not_run)

    def _add(self, name: str, model: str, built: str, found: Comparison | None, reason: str) -> None:
        is_broken = found is not None and bool(found.breaches)
        packed = packed_difference(self.recipe, model)
        self.rows.append(Row(name, built, found, reason, name.endswith(".plan"), is_broken, packed))
        if found is not None and is_broken:
            self.failures.append(
                VerificationError(
                    f"{name} differs from {self.saved.reference} on {found.num_faces} faces: "
                    f"{'; '.join(found.breaches)}. It was not written"
                )
            )

    @contextmanager
    def _reported(self, name: str, built: str, *, must_work: bool) -> Iterator[None]:
        """Turn an error into a row; it fails the whole command where the artifact should have worked here."""
        try:
            yield
        except FerDeployError as err:
            reason = without_folders_in_text(str(err).replace(f"{self.folder}/", ""))
            is_broken = must_work or isinstance(err, VerificationError)
            self.rows.append(Row(name, built, None, reason, is_plan=must_work, is_broken=is_broken))
            if is_broken:
                self.failures.append(type(err)(f"{name}: {reason}"))

    def failure(self) -> FerDeployError | None:
        """Return the error to raise at the end: a broken limit first, else the first failure."""
        if not any(row.comparison is not None for row in self.rows):
            reasons = "".join(f"\n  {row.name}: {row.reason}" for row in self.rows)
            return EngineError(f"no artifact of the pack runs on this machine:{reasons}")
        broken = [failure for failure in self.failures if isinstance(failure, VerificationError)]
        return next(iter([*broken, *self.failures]), None)


def _read_recipe(content: bytes, pack: Path) -> dict[str, Any]:
    try:
        recipe = json.loads(content)
        profile_of(recipe)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as err:
        raise ArtifactError(
            f"{RECIPE} in {pack} is not one that this version reads ({str(err)[:200]}). Fix: make the pack again"
        ) from err
    found: dict[str, Any] = recipe
    return found


def _variant_of(name: str) -> Variant:
    """Return the variant that a member's name ends with, the longest one first."""
    return next(one for one in sorted(Variant, key=len, reverse=True) if name.endswith(f"-{one}.onnx"))


def _how_built(built: BuiltPlan) -> str:
    return f"{_SHORT_NAMES[built.manifest.flavor]} {built.manifest.version}"


def _why_not(flavor: Flavor) -> str | None:
    """Return why plans of a flavor cannot be built here; None: they can."""
    try:
        load_tensorrt(flavor)
    except FerDeployError as err:
        return str(err)
    if flavor is Flavor.TENSORRT and not survey().host.gpus:
        return "it builds on the GPU that runs the plan, and nvidia-smi lists none"
    return None
