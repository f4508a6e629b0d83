"""Read a TrainConfig from a YAML file and flags, and explain what is wrong with it."""

import difflib
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from fer_train.config import (
    AugmentConfig,
    Cosine,
    DistillationConfig,
    MixConfig,
    MuonConfig,
    OneCycle,
    ReduceLROnPlateau,
    SizePhase,
    Strict,
    TrainConfig,
)
from fer_train.errors import ConfigError
from fer_train.files.value_faults import fault_in_words
from fer_train.files.yaml_file import read_yaml

_log = logging.getLogger(__name__)


def load_config(
    path: Path, overrides: Mapping[str, Any] | None = None, *, flags: Mapping[str, str] | None = None
) -> TrainConfig:
    """Read a YAML file and apply the overrides (flags of the user).

    If an override of `num_epochs` makes the file's phases or warm-up too long, they keep their share of the run.

    Args:
        path: of the YAML file.
        overrides: values by the keys of the file, which win over the file's.
        flags: what the user calls an override, such as "--epochs" for "num_epochs"; none: as in the file.

    Raises:
        ConfigError: the file is missing or not a mapping, a key is unknown (the message names the nearest known one),
            or a value is invalid.
    """
    content = read_yaml(path, examples="configs/train/*.yaml")
    given = overrides or {}
    fitted = _fitted(content, given, str(path))
    names = {key: name for key, name in (flags or {}).items() if key in given}
    return config_from_dict({**content, **fitted, **given}, where=str(path), flags=names)


def _fitted(content: Mapping[str, Any], overrides: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Return the settings of a file that must change for another number of epochs; empty if none must."""
    num_epochs = overrides.get("num_epochs")
    try:
        written = config_from_dict(content, where=where)
    except ConfigError:  # reported after the overrides are applied, unless they correct it
        return {}
    if not isinstance(num_epochs, int) or num_epochs < 1:
        return {}
    share = num_epochs / written.num_epochs
    fitted: dict[str, Any] = {}
    if any(phase.until_epoch >= num_epochs for phase in written.size_phases):
        ends = {round(phase.until_epoch * share): phase.image_size for phase in written.size_phases}
        fitted["size_phases"] = [
            {"until_epoch": end, "image_size": size} for end, size in ends.items() if 0 < end < num_epochs
        ]
    scheduler = written.scheduler
    if isinstance(scheduler, Cosine) and scheduler.warmup_epochs >= num_epochs:
        fitted["scheduler"] = scheduler.model_dump() | {"warmup_epochs": scheduler.warmup_epochs * share}
    for name, value in fitted.items():
        if name not in overrides:
            _log.info("%d epochs instead of %d: %s becomes %s", num_epochs, written.num_epochs, name, value)
    return fitted


def config_from_dict(values: Mapping[str, Any], *, where: str, flags: Mapping[str, str] | None = None) -> TrainConfig:
    """Validate settings; `where` names their origin in errors, `flags` the keys that come from the command line.

    Raises:
        ConfigError: as `load_config`.
    """
    try:
        return TrainConfig.model_validate(values)
    except ValidationError as err:
        raise ConfigError("\n".join(_describe(detail, where, flags or {}) for detail in err.errors())) from err


def _describe(detail: Any, where: str, flags: Mapping[str, str]) -> str:
    path = ".".join(str(part) for part in detail["loc"])
    if flag := flags.get(path):
        where, path = "command line", flag
    if detail["type"] != "extra_forbidden":
        if not path:  # settings that contradict each other: the message names them, the input is the whole config
            return f"{where}: {fault_in_words(detail)}"
        if detail["type"] == "value_error":  # the same for a part of the config
            return f"{where}: {path}: {fault_in_words(detail)}"
        hint = "; YAML reads 1e-3 as text, write 1.0e-3" if _is_number(detail["input"]) else ""
        return f"{where}: {path}: {fault_in_words(detail)} (got {detail['input']!r:.80}){hint}"
    known = list(_model_at(detail["loc"][:-1]).model_fields)
    near = difflib.get_close_matches(str(detail["loc"][-1]), known, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"known keys there: {', '.join(known)}"
    return f"{where}: unknown key {path!r}; {hint}"


def _model_at(path: tuple[str | int, ...]) -> type[Strict]:
    names = [part for part in path if isinstance(part, str)]
    return _NESTED[names[-1]] if names else TrainConfig


def _is_number(value: object) -> bool:
    try:
        return isinstance(value, str) and bool(float(value) or True)
    except ValueError:
        return False


_NESTED: dict[str, type[Strict]] = {
    "augment": AugmentConfig,
    "mix": MixConfig,
    "muon": MuonConfig,
    "distillation": DistillationConfig,
    "Cosine": Cosine,
    "size_phases": SizePhase,
    "OneCycle": OneCycle,
    "ReduceLROnPlateau": ReduceLROnPlateau,
}
