"""Settings: the base of every config model, and the function that builds one from YAML and flags."""

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Final, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from fer_deploy.errors import ConfigError, argument
from fer_deploy.files.value_faults import fault_in_words
from fer_deploy.privacy.redaction import without_password, without_passwords

CONFIG_FILE: Final = "config_file"
"""Key in the validation context: path of the YAML file, or None. No run may overwrite this file."""


class Settings(BaseModel):
    """Base of all settings: frozen, strict, and unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


S = TypeVar("S", bound=Settings)


def load_settings(
    kind: type[S],
    path: Path | None,
    overrides: Mapping[str, Any],
    *,
    where: str = "command line",
    names: Mapping[str, str] | None = None,
) -> S:
    """Return the settings: defaults, overridden by the YAML file, overridden by flags.

    Args:
        kind: the settings class.
        path: YAML file of key: value pairs, or None.
        overrides: values of the user's flags; None means not given.
        where: name of the place of `overrides` in errors.
        names: what the user calls a setting among `overrides`, such as its flag, by its dotted key.

    Raises:
        ConfigError: unreadable file, unknown key (with the nearest known one) or bad value.
    """
    values = {} if path is None else _values_of(path)
    given = {name: value for name, value in overrides.items() if value is not None}
    try:
        return kind.model_validate(_overlaid(values, given), context={CONFIG_FILE: path})
    except ValidationError as err:
        lines = []
        for detail in err.errors():
            is_flag = path is None or _is_given(given, detail["loc"])
            shown = _name_of(detail, names or {}) if is_flag else _key_of(detail)
            lines.append(_describe(detail, kind, where if is_flag else str(path), shown))
        raise ConfigError(without_passwords("\n".join(lines))) from err


def _is_given(given: Mapping[str, Any], place: Sequence[str | int]) -> bool:
    """Return whether the value at `place` is among `given`; for a whole group, whether a part of it is."""
    found: Any = given
    for part in place:
        if not isinstance(found, Mapping):
            break  # an item of a given list
        if part not in found:
            return False
        found = found[part]
    return bool(place)


def _values_of(path: Path) -> dict[str, Any]:
    values: dict[str, Any] = import_module("fer_deploy.files.yaml_file").read_yaml(path, examples="configs/*.yaml")
    return values  # most runs have no file, and need no parser


def _overlaid(values: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return `values` overridden by `given`; groups of settings are merged, not replaced."""
    merged = dict(values)
    for name, value in given.items():
        both_groups = isinstance(value, Mapping) and isinstance(merged.get(name), Mapping)
        merged[name] = _overlaid(merged[name], value) if both_groups else value
    return merged


def _key_of(detail: Any) -> str:
    return ".".join(str(part) for part in detail["loc"])


def _name_of(detail: Any, names: Mapping[str, str]) -> str:
    """Return the user's name of a setting; empty for a group without one, whose message names its settings."""
    place = [str(part) for part in detail["loc"]]
    for end in range(len(place), 0, -1):  # an item of a list has the name of the list
        if name := names.get(".".join(place[:end])):
            return name
    return "" if names and isinstance(detail["input"], Mapping) else _key_of(detail)


def _describe(detail: Any, kind: type[Settings], where: str, shown: str) -> str:
    key = _key_of(detail)
    if detail["type"] == "missing":
        return f"{where}: {argument(key)} is missing. Fix: give {argument(key)}, or {key}: in the config"
    if detail["type"] != "extra_forbidden":
        message = fault_in_words(detail)
        return ": ".join(filter(None, (where, shown, message))) + _input_shown(detail, kind) + _similar_value(detail)
    *groups, name = map(str, detail["loc"])
    known = list(_group_at(kind, groups).model_fields)
    near = difflib.get_close_matches(name, known, n=1)
    meant = ".".join([*groups, *near])
    of_group = f" of {'.'.join(groups)}" if groups else ""
    hint = f"did you mean {meant!r}?" if near else f"known keys{of_group}: {', '.join(known)}"
    return f"{where}: unknown key {key!r}; {hint}"


def _similar_value(detail: Any) -> str:
    """Return a question for the value that was probably meant, if only some values are possible."""
    if detail["type"] != "literal_error":
        return ""
    known = re.findall(r"'([^']*)'", detail["ctx"]["expected"])
    near = difflib.get_close_matches(str(detail["input"]), known, n=1, cutoff=0.7)  # gpu is not cpu
    return f"; did you mean {near[0]!r}?" if near else ""


def _input_shown(detail: Any, kind: type[Settings]) -> str:
    """Return the given value as text; empty for a group of settings or a secret (a field with repr=False)."""
    given, place = detail["input"], [str(part) for part in detail["loc"]]
    if not place or not isinstance(given, str | int | float | None):
        return ""
    field = _group_at(kind, place[:-1]).model_fields.get(place[-1])
    if field is not None and not field.repr:
        return ""
    return f" (got {(without_password(given) if isinstance(given, str) else given)!r:.80})"


def _group_at(kind: type[BaseModel], place: Sequence[str]) -> type[BaseModel]:
    """Return the innermost group of settings on the path `place`; mapping keys and list indices are skipped."""
    for part in place:
        if part in kind.model_fields:
            kind = next(_models_in(kind.model_fields[part].annotation), kind)
    return kind


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models_in(inner)
