"""fer-deploy inspect: describe a model file, or what differs between two, without running them."""

import json
import shlex
from importlib import import_module
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from fer_deploy.artifacts import require_file
from fer_deploy.cli.terminal.differences_report import print_differences
from fer_deploy.engines import PLAN_SUFFIXES
from fer_deploy.engines.foreign_file import PACK_SUFFIX, require_own_file
from fer_deploy.environment import survey
from fer_deploy.errors import ArtifactError, MissingDependencyError, with_flags_alone
from fer_deploy.manifest import NetworkManifest, read_any_manifest
from fer_deploy.plan_compatibility import describe_mismatches, digest_of, find_mismatches, identity_fault

_READERS = {".onnx": "inspect_onnx", ".safetensors": "inspect_checkpoint"}
_ANSWERS = {None: "unknown", True: "yes", False: "no"}
DIFFERENT = 1
"""Exit code for two files that differ, as of `diff`."""
_MAX_TEXT = 200
"""Characters of a nested value that the table shows."""


def inspect(file: Path, other: Path | None, as_json: bool) -> None:
    """Describe FILE (.safetensors, .onnx or .plan), or what differs between two files. Nothing in them is executed."""
    content = inspect_file(file)
    if other is not None:
        _compare(file, other, content, as_json)
        return
    if as_json:
        click.echo(json.dumps(content, indent=2, ensure_ascii=False))
        return
    console = Console(highlight=False, markup=False)
    details = {key: content.pop(key) for key in ("layers", "tensors") if key in content}
    console.print(_overview(content))
    for name, rows in details.items():
        if rows:
            console.print(_listing(name, rows))


def _compare(file: Path, other: Path, content: dict[str, Any], as_json: bool) -> None:
    """Print what differs; exit code 1 says that something does."""
    module = import_module("fer_deploy.export.differences")
    found = module.differences(content, inspect_file(other))
    if file.suffix == other.suffix == ".onnx":
        found |= import_module("fer_deploy.export.graph.differences").graph_differences(file, other)
    is_same = module.is_same(found)
    if as_json:
        result = {"a": str(file), "b": str(other), "is_same": is_same, **found}
        click.echo(json.dumps(result, indent=2, ensure_ascii=False))
    elif is_same:
        click.echo(f"{file} and {other} are the same")
    else:
        print_differences(file, other, found, Console(highlight=False, markup=False))
    if not is_same:
        click.get_current_context().exit(DIFFERENT)


def _fix_for(path: Path) -> str:
    if path.suffix == PACK_SUFFIX:
        pack, out = (shlex.quote(str(one)) for one in (path, path.with_suffix("")))
        return f"fer-deploy rebuild {pack} --out {out}, then a file of it"
    if path.suffix in ("", ".pt", ".pth", ".ckpt", ".bin"):
        return "fer-train release makes a .safetensors of a training checkpoint; a pickle is not opened"
    return "a model: a checkpoint, an ONNX file or a plan"


def inspect_file(path: Path) -> dict[str, Any]:
    """Return the content of the file as plain values for JSON; `problems` says why it cannot be used.

    Raises:
        ArtifactError: missing, truncated, or of a kind that is not known.
        MissingDependencyError: a package that reads it is not installed.
    """
    require_file(path, fix="fer-deploy export --checkpoint weights/net.safetensors --out artifacts/net")
    known = (*_READERS, *PLAN_SUFFIXES)
    if path.suffix not in known:
        raise ArtifactError(
            f"cannot inspect {path}: its suffix is {path.suffix or '(none)'!r}, known are {', '.join(known)}. "
            f"Fix: {_fix_for(path)}"
        )
    if path.suffix in PLAN_SUFFIXES:
        return _inspect_plan(path)
    if path.suffix == ".onnx":
        require_own_file(path)
    try:
        module = import_module("fer_deploy.export.inspect")
    except ModuleNotFoundError as err:
        raise MissingDependencyError(
            f"cannot inspect {path}: {err.name} is not installed. Fix: pip install 'fer-toolchain[export]'"
        ) from err
    content: dict[str, Any] = getattr(module, _READERS[path.suffix])(path)
    return content


def _inspect_plan(path: Path) -> dict[str, Any]:
    """Return the content of the plan's manifest. The plan is hashed and never deserialized."""
    plan = path.read_bytes()
    facts: dict[str, Any] = {"kind": "plan", "file": str(path), "bytes": len(plan), "sha256": digest_of(plan)}
    try:
        manifest = read_any_manifest(path)
    except ArtifactError as err:
        return facts | {"problems": [with_flags_alone(str(err))], "is_the_built_file": None, "fits_this_machine": None}
    fault = identity_fault(plan, manifest)
    mismatches = find_mismatches(manifest, survey().host)
    problems = [] if fault is None else [f"not the file that was built: {fault}"]
    if mismatches:
        problems.append(with_flags_alone(describe_mismatches(path, manifest, mismatches)))
    if manifest.needs_host_code:
        problems.append("it embeds a lean runtime: native code that runs only with --allow-host-code")
    content = manifest.model_dump(mode="json", exclude_none=True)
    what = "network" if isinstance(manifest, NetworkManifest) else "spec"
    return facts | {
        what: content.pop(what),
        "problems": problems,
        "is_the_built_file": fault is None,
        "fits_this_machine": not mismatches,
        "manifest": content,
    }


def _overview(content: dict[str, Any]) -> Table:
    table = Table(show_header=False, box=None)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for key, value in _rows(content):
        table.add_row(key, value)
    return table


def _rows(content: dict[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Flatten nested values to (name, text); two levels become rows, deeper ones JSON."""
    rows = []
    for key, value in content.items():
        name = f"{prefix}{key}".replace("_", " ")
        if key == "problems":
            rows += [("problem", text) for text in value] or [("problems", "none")]
        elif isinstance(value, dict) and not prefix:
            rows += _rows(value, prefix=f"{key} ")
        elif isinstance(value, int) and not isinstance(value, bool):
            rows.append((name, f"{value:,}"))
        elif isinstance(value, str | bool | None):
            rows.append((name, value if isinstance(value, str) else _ANSWERS[value]))
        else:
            text = json.dumps(value, ensure_ascii=False)
            rows.append((name, text if len(text) <= _MAX_TEXT else f"{text[:_MAX_TEXT]} ... (--json shows all)"))
    return rows


def _listing(name: str, rows: list[dict[str, Any]]) -> Table:
    table = Table(title=name, title_justify="left")
    for column in rows[0]:
        table.add_column(column.replace("_", " "), overflow="fold")
    for row in rows:
        table.add_row(*("x".join(map(str, value)) if isinstance(value, list) else str(value) for value in row.values()))
    return table
