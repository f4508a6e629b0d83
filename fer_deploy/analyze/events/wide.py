"""Wide table: one row a person, with the measures of all events side by side."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from fer_deploy.analyze.events.segments import PLACE
from fer_deploy.live.fingerprint.run_fingerprint import RUN
from fer_deploy.live.sinks.tables.base import Columns, Row


def wide_rows(table: pa.Table, groups: Sequence[str]) -> tuple[Columns, list[Row]]:
    """Return columns and rows of the wide form of `segments`.

    A measure of the event "film" is in the column `film.mean_happy`. Of several events with the same label, the second
    is `film#2`, and so on.

    Args:
        table: from `segments`.
        groups: names of the user's columns.
    """
    kept = ["video", "person", "person_name", *groups]
    types = {field.name: _kind(field.type) for field in table.schema}
    measured = [name for name in types if name not in (*PLACE, *groups, RUN)]
    rows = table.to_pylist()
    names = _names({row["event"]: row["label"] for row in rows})
    columns = {name: types[name] for name in kept}
    columns |= {f"{name}.{measure}": types[measure] for name in names.values() for measure in measured}
    columns[RUN] = str
    wide: dict[int, dict[str, Any]] = {}
    for row in rows:
        mine = wide.setdefault(row["person"], {name: row[name] for name in (*kept, RUN)})
        mine |= {f"{names[row['event']]}.{measure}": row[measure] for measure in measured}
    return columns, [[mine[name] for name in columns] for mine in wide.values()]


def _names(label_of: dict[int, str]) -> dict[int, str]:
    """Return a name for each event that no other has."""
    num, names = Counter[str](), dict[int, str]()
    for event, label in sorted(label_of.items()):
        name = label
        while name in names.values():
            num[label] += 1
            name = f"{label}#{num[label] + 1}"
        names[event] = name
    return names


def _kind(arrow: pa.DataType) -> type:
    return str if pa.types.is_string(arrow) else int if pa.types.is_integer(arrow) else float
