"""The recipe of a pack: how each model was made, with which versions, and the calibrated range of each activation."""

from collections.abc import Sequence
from typing import Any, Final

import onnx

from fer_deploy.export.config import DEFAULT_LIMITS
from fer_deploy.export.int8.scales import scales_of
from fer_deploy.export.variants import Variant
from fer_deploy.export.verify.compare import Comparison
from fer_deploy.export.verify.scores import Limits
from fer_deploy.manifest import BatchProfile, PlanManifest
from fer_deploy.pack.export_folder import ExportFolder, Model

FORMAT: Final = "fer-recipe-1"
_INT8_SLACK: Final = 2.0
"""INT8 may differ so many times as much as on the machine that packed it.

ONNX Runtime and OpenVINO differ by 2 % in it (senet-ferplus, 64 drawn faces: 0.089 and 0.091). Engines that were broken
on purpose had 2.8 times the difference; see `inputs`.
"""
_OF_REPORT: Final = ("checkpoint", "architecture", "opset", "max_accuracy_drop", "versions")


def recipe_of(folder: ExportFolder, comparisons: Sequence[Comparison]) -> dict[str, Any]:
    """Return the recipe as plain values for JSON.

    Args:
        folder: the export.
        comparisons: of each model with the saved logits, on the machine that packs.
    """
    packed = {found.artifact: _at_packing(found) for found in comparisons}
    records = {entry["name"]: entry.get("quantization") for entry in folder.report["artifacts"]}
    return {
        "format": FORMAT,
        **{name: folder.report.get(name) for name in _OF_REPORT},
        "models": {
            model.path.name: _made(model, records[model.path.name]) | {"at_packing": packed[model.path.name]}
            for model in folder.models.values()
        },
        "plans": [_built(plan) for plan in folder.plans],
    }


def profile_of(recipe: dict[str, Any]) -> BatchProfile:
    """Return the batch sizes of the export's plans, or the default without any."""
    profiles = [BatchProfile.model_validate(plan["profile"]) for plan in recipe.get("plans", ())]
    return profiles[0] if profiles else BatchProfile()


def packed_difference(recipe: dict[str, Any], model: str) -> float | None:
    """Return the largest |Δlogit| that a model had on the machine that packed it; None: the recipe does not say."""
    try:
        return float(recipe["models"][model]["at_packing"]["max_abs_logit"])
    except (LookupError, TypeError, ValueError):
        return None


def limits_of(recipe: dict[str, Any], model: str, variant: Variant) -> Limits:
    """Return the limits of a model and of its plan.

    Those of INT8 are wide, since they hold for every network. What this one differed on the machine that packed it, on
    the same inputs, says more: the largest difference of a logit may be twice as much, or as much as FP16 may differ.
    """
    limits = DEFAULT_LIMITS[variant]
    packed, least = packed_difference(recipe, model), DEFAULT_LIMITS[Variant.FP16].max_abs_logit
    if variant.scheme is None or packed is None or least is None:
        return limits
    return limits.model_copy(update={"max_abs_logit": max(least, _INT8_SLACK * packed)})


def _at_packing(found: Comparison) -> dict[str, Any]:
    return {
        "engine": found.candidate,
        "max_abs_logit": found.max_abs_logit,
        "kl": found.kl,
        "agreement": found.agreement,
    }


def _made(model: Model, record: dict[str, Any] | None) -> dict[str, Any]:
    made: dict[str, Any] = {"variant": model.variant.value}
    if record is None:
        return made
    scales = scales_of(onnx.ModelProto.FromString(model.content))
    ranges = {name: list(scale.range()) for name, scale in scales.items() if not scale.is_weight}
    return made | {
        "calibration": record.get("calibration"),
        "float_layers": record.get("float_layers"),
        "ranges": ranges,
    }


def _built(plan: PlanManifest) -> dict[str, Any]:
    return {
        "source": plan.source_onnx,
        "flavor": plan.flavor.value,
        "version": plan.version,
        "version_compatible": plan.version_compatible,
        "profile": plan.profile.model_dump(mode="json"),
        "target": plan.target.model_dump(mode="json", exclude_none=True),
    }
