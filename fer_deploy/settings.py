"""Settings: the base of every config model, and the one way from YAML and flags to a validated object."""

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from fer_deploy.errors import ConfigError


class Settings(BaseModel):
    """Frozen, and unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


S = TypeVar("S", bound=Settings)


def load_settings(kind: type[S], path: Path | None, overrides: Mapping[str, Any]) -> S:
    """Return defaults, overlaid by the YAML file, overlaid by flags.

    Args:
        kind: the settings class.
        path: YAML file of key: value pairs, or None.
        overrides: what the user gave as flags; None means not given.

    Raises:
        ConfigError: unreadable file, unknown key (with the nearest known one) or bad value.
    """
    values = {} if path is None else _read_yaml(path)
    given = {name: value for name, value in overrides.items() if value is not None}
    try:
        return kind.model_validate(_overlaid(values, given))
    except ValidationError as err:
        lines = []
        for detail in err.errors():
            from_flag = path is None or (detail["loc"] and detail["loc"][0] in given)
            lines.append(_describe(detail, kind, "command line" if from_flag else str(path)))
        raise ConfigError("\n".join(lines)) from err


def _overlaid(values: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return `values` with those of `given` in their place; groups of settings are merged, not replaced."""
    merged = dict(values)
    for name, value in given.items():
        both_groups = isinstance(value, Mapping) and isinstance(merged.get(name), Mapping)
        merged[name] = _overlaid(merged[name], value) if both_groups else value
    return merged


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError) as err:
        raise ConfigError(f"cannot read config {path}: {err}. Shipped configs: configs/*.yaml") from err
    except yaml.YAMLError as err:
        raise ConfigError(f"{path} is not valid YAML: {err}") from err
    if not isinstance(content, dict):
        raise ConfigError(f"{path} must hold key: value pairs, found {type(content).__name__}")
    return content


def _describe(detail: Any, kind: type[Settings], where: str) -> str:
    key = ".".join(str(part) for part in detail["loc"])
    if detail["type"] == "missing":
        return f"{where}: no {key} was given. Fix: --{key} or {key}: in the config"
    if detail["type"] != "extra_forbidden":
        return f"{where}: {key or 'config'}: {detail['msg']} (got {detail['input']!r:.80})"
    near = difflib.get_close_matches(key, list(kind.model_fields), n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(kind.model_fields)}"
    return f"{where}: unknown key {key!r}; {hint}"
