"""The work of the command fer-train runs: read runs and releases, merge them with an earlier table, write it."""

import shlex
from collections.abc import Sequence
from pathlib import Path

import click
import torch

from fer_train.errors import ConfigError
from fer_train.privacy.portable_paths import shown_path
from fer_train.sweep.run_rows import row_of_release, row_of_run
from fer_train.sweep.runs_table import add_notes, as_markdown, earlier_rows, merge_rows
from fer_train.sweep.table_files import table_name, today, write_table

_NAME = table_name("runs", torch.device("cpu"))


def tabulate_runs(
    runs: Sequence[Path],
    releases: Sequence[Path],
    *,
    minutes: Sequence[str],
    hardware: Sequence[str],
    add: bool,
    out: Path,
    publish: Path | None,
) -> None:
    """Write the table of runs and print it.

    Args:
        runs: folders of fer-train train, each DIR or NAME=DIR.
        releases: released weights, each FILE or NAME=FILE.
        minutes: RUN=NUMBER or RUN=NUMBER+NUMBER.
        hardware: RUN=TEXT.
        add: keep the other rows of the newest table in `publish`, else of `out`.
        out: .md to write.
        publish: folder that gets the table too.

    Raises:
        ConfigError: no run, a folder without a finished epoch, two runs of one name, or a note that does not fit.
        CheckpointError: a run, a release or an earlier table that cannot be used, or a file that cannot be written.
    """
    if not (runs or releases or add):
        raise ConfigError("no run is named. Fix: --run runs/net, or --release net.safetensors")
    if out.suffix != ".md":
        raise ConfigError(f"--out {out} is the Markdown of the table. Fix: --out {out.with_suffix('.md')}")
    earlier = earlier_rows(_newest(publish) if publish else out.with_suffix(".json")) if add else []
    made = [row_of_release(*_with_name(path)) for path in releases] + [row_of_run(*_with_name(path)) for path in runs]
    rows = merge_rows(earlier, made)
    add_notes(rows, "minutes", minutes)
    add_notes(rows, "hardware", hardware)
    words = ["fer-train runs", *(row["flags"] for row in made)]
    words += [f"--took {shlex.quote(note)}" for note in minutes]
    words += [f"--hardware {shlex.quote(note)}" for note in hardware]
    words += ["--add"] if add else []
    words += [f"--publish {shlex.quote(shown_path(publish))}" if publish else f"--out {shlex.quote(shown_path(out))}"]
    command = " ".join(words)
    text = as_markdown(rows, date=today(), command=command, made=[row["run"] for row in made])
    click.echo(text)
    for path in (out, *([publish / _NAME] if publish else [])):
        write_table(path, text, {"date": today(), "command": command, "runs": rows})
        click.echo(f"written: {path}")


def _with_name(given: Path) -> tuple[Path, str]:
    """Return the path and the name in [NAME=]PATH; the name is empty where none is given."""
    name, equals, path = str(given).partition("=")
    if given.exists() or not equals or "/" in name:
        return given, ""
    if not name.isprintable() or "|" in name or not name.strip():
        raise ConfigError(f"{given}: a name of a row has letters and digits, no | and no line break. Fix: NAME={path}")
    return Path(path), name


def _newest(folder: Path) -> Path:
    """Return the table of the latest month in a folder; where there is none, the name of this month's."""
    return max(folder.glob("runs_cpu_????-??.json"), default=folder / _NAME)
