"""What fer-deploy inspect prints for two files: the fields, operators, layers, weights and scales that differ."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from fer_deploy.live.file_names import printable

_SHOWN: Final = 20
"""Rows of one kind; --json shows all."""
_MAX_TEXT: Final = 60
_DIGEST: Final = re.compile("[0-9a-f]{64}")
_HIDDEN: Final = ("sha256",)
"""Fields of a layer or a weight that only prove that it changed."""


def print_differences(one: Path, other: Path, found: Mapping[str, Any], console: Console) -> None:
    """Print all kinds of differences, each in a table of at most `_SHOWN` rows."""
    first, second = printable(str(one)), printable(str(other))
    console.print(f"A: {first}\nB: {second}", soft_wrap=True)
    for kind in ("fields", "operators"):
        _print_pairs(kind, found[kind], console)
    for kind in ("layers", "tensors", "weights", "scales"):
        if kind in found:
            _print_named(kind, found[kind], console)


def _print_pairs(title: str, pairs: Mapping[str, Sequence[Any]], console: Console) -> None:
    if not pairs:
        return
    table = _table(title, ("", "A", "B"))
    for name, (first, second) in list(pairs.items())[:_SHOWN]:
        table.add_row(printable(name), _text(first), _text(second))
    _print(table, len(pairs), console)


def _print_named(title: str, found: Mapping[str, Any], console: Console) -> None:
    for change in ("removed", "added"):
        names = found[change]
        if names:
            first_names = ", ".join(map(printable, names[:_SHOWN]))
            more = f", and {len(names) - _SHOWN} more (--json shows all)" if len(names) > _SHOWN else ""
            where = "only in A" if change == "removed" else "only in B"
            console.print(f"\n{len(names)} {title} {where}: {first_names}{more}", soft_wrap=True)
    changed = found["changed"]
    if not changed:
        return
    table = _table(f"{len(changed)} {title} changed", ("", "", "A", "B"))
    for name, pairs in list(changed.items())[:_SHOWN]:
        visible = {key: pair for key, pair in pairs.items() if key not in _HIDDEN} or pairs
        for number, (key, (first, second)) in enumerate(visible.items()):
            table.add_row("" if number else printable(name), key.replace("_", " "), _text(first), _text(second))
    _print(table, len(changed), console)


def _table(title: str, columns: Sequence[str]) -> Table:
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _print(table: Table, num: int, console: Console) -> None:
    console.print()
    console.print(table)
    if num > _SHOWN:
        console.print(f"and {num - _SHOWN} more (--json shows all)")


def _text(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list) and value and all(isinstance(one, float) for one in value):
        return f"[{', '.join(f'{one:.4g}' for one in value)}]"
    if isinstance(value, str) and _DIGEST.fullmatch(value):
        return f"{value[:16]}..."
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return printable(text if len(text) <= _MAX_TEXT else f"{text[:_MAX_TEXT]} ...")
