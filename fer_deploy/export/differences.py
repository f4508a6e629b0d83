"""What differs between two artifacts, from what `fer-deploy inspect` says of each. Pure Python: plans need no onnx."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

_BY_NAME: Final = ("layers", "tensors")
"""Lists of values with a name, which are compared name by name."""
_NOT_COMPARED: Final = ("file", "operators", *_BY_NAME)
_RECORD: Final = "fer_quantization"
"""Key of the metadata whose text is JSON."""


def differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Compare what `inspect_file` returned for two files.

    Returns:
        Plain values for JSON: `fields` (name to the two values; None: absent), `operators` (name to the two counts),
        and for `layers` and `tensors` what was `added`, `removed` and `changed`. All are empty for equal content.
    """
    fields = [dict(_flat(content)) for content in (one, other)]
    operators = [content.get("operators", {}) for content in (one, other)]
    return {
        "fields": _pairs(*fields),
        "operators": _pairs(*operators),
        **{kind: named_differences(one.get(kind, ()), other.get(kind, ())) for kind in _BY_NAME},
    }


def named_differences(one: Sequence[Mapping[str, Any]], other: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Compare two lists of values with a `name`; a name that occurs twice is told apart by its position."""
    first, second = _by_name(one), _by_name(other)
    return {
        "added": [name for name in second if name not in first],
        "removed": [name for name in first if name not in second],
        "changed": {
            name: _pairs(first[name], second[name]) for name in first if name in second and first[name] != second[name]
        },
    }


def is_same(found: Any) -> bool:
    """Return whether nothing differs; `found` is of `differences`, or a part of it."""
    if isinstance(found, Mapping):
        return all(map(is_same, found.values()))
    return not found


def _flat(content: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield (dotted name, value) for each value that is no dictionary."""
    for name, value in content.items():
        if not prefix and name in _NOT_COMPARED:
            continue
        inner = _parsed(value) if name == _RECORD else value
        if isinstance(inner, Mapping) and inner:
            yield from _flat(inner, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", inner


def _parsed(text: Any) -> Any:
    try:
        return json.loads(text)
    except (TypeError, ValueError):
        return text


def _pairs(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, list[Any]]:
    names = [*one, *(name for name in other if name not in one)]
    return {name: [one.get(name), other.get(name)] for name in names if one.get(name) != other.get(name)}


def _by_name(rows: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for row in rows:
        name = str(row["name"])
        while name in found:
            name += "'"
        found[name] = {key: value for key, value in row.items() if key != "name"}
    return found
