"""Settings of one audit, strictly validated."""

import difflib
from typing import Any, Literal

from pydantic import Field, ValidationError

from fer_train.audit.findings import KINDS, REASONS
from fer_train.config import Strict
from fer_train.errors import ConfigError
from fer_train.files.value_faults import fault_in_words

LabelFilter = Literal[
    "low_normalized_margin",
    "low_self_confidence",
    "confident_learning",
    "prune_by_noise_rate",
    "prune_by_class",
    "both",
    "predicted_neq_given",
]


class AuditConfig(Strict):
    """Thresholds of one audit. The command's flags have these names; the defaults were chosen on FER2013."""

    train_split: str = Field(default="Training", description="the split that exclude.csv cleans")
    near_threshold: float = Field(
        default=0.99, gt=0.5, le=1, description="correlation at which two faces are duplicates"
    )
    blank_range: int = Field(default=10, ge=0, le=255, description="gray levels; below it an image is blank")
    contrast_range: int = Field(default=50, ge=0, le=255, description="gray levels; below it contrast is low")
    label_filter: LabelFilter = Field(default="low_normalized_margin", description="cleanlab's filter_by")
    min_accuracy: float = Field(
        default=0.5, ge=0, le=1, description="smallest accuracy of predictions that may exclude rows"
    )
    max_flagged: float = Field(default=0.35, ge=0, le=1, description="largest credible share of label errors")
    exclude_reasons: tuple[str, ...] = tuple(name for name in REASONS if KINDS[name].excluded)


def audit_config_from_flags(flags: dict[str, Any]) -> AuditConfig:
    """Return the config; a flag that is None was not given. `exclude_reasons` is comma-separated text.

    Raises:
        ConfigError: a reason is unknown, or a value is out of range.
    """
    values = {name: value for name, value in flags.items() if value is not None}
    if "exclude_reasons" in values:
        values["exclude_reasons"] = _parse_reasons(values["exclude_reasons"])
    try:
        return AuditConfig.model_validate(values)
    except ValidationError as err:
        lines = [
            f"--{str(e['loc'][0]).replace('_', '-')}: {fault_in_words(e)} (got {e['input']!r:.40})"
            for e in err.errors()
        ]
        raise ConfigError("\n".join(lines)) from err


def _parse_reasons(text: str) -> tuple[str, ...]:
    """Return the reasons in `KINDS` order; "none" means no reason at all."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    if names == ["none"]:
        return ()
    for name in names:
        if name not in REASONS:
            near = difflib.get_close_matches(name, REASONS, n=1)
            hint = f"did you mean {near[0]!r}? " if near else ""
            raise ConfigError(
                f"--exclude-reasons: unknown reason {name!r}; {hint}Known: {', '.join(REASONS)}; or none for no row. "
                "Fix: --exclude-reasons with some of these"
            )
    if not names:
        raise ConfigError(f"--exclude-reasons is empty. Fix: name some of {', '.join(REASONS)}, or none for no row")
    return tuple(name for name in REASONS if name in names)
