"""fer-train audit: report faults of the data, and list the rows to leave out."""

from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import Progress

from fer_train.audit import run_audit
from fer_train.audit.config import audit_config_from_flags
from fer_train.audit.output import claim_folder, write_report
from fer_train.audit.predictions import read_predictions
from fer_train.audit.report import EXCLUDE, describe_predictions, findings_table
from fer_train.data import read_faces
from fer_train.privacy.portable_paths import shown_path


def audit(data_path: Path, ferplus: Path | None, predictions_path: Path | None, out: Path, **flags: Any) -> None:
    """Find duplicates, leakage, non-faces and likely label errors; see `fer_train.cli.flags.audit` for the flags."""
    config = audit_config_from_flags(flags)
    faces = read_faces(data_path, ferplus=ferplus)
    predictions = None if predictions_path is None else read_predictions(predictions_path, faces)
    claim_folder(out)
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("near duplicates", total=None)
        audit = run_audit(
            faces,
            config,
            predictions=predictions,
            on_block=lambda done, total: progress.update(task, completed=done, total=total),
        )
    given = {"data": data_path, "ferplus": ferplus, "predictions": predictions_path}
    write_report(audit, out, {name: None if path is None else shown_path(path) for name, path in given.items()})
    Console().print(findings_table(audit))
    for line in describe_predictions(audit):
        click.echo(line)
    for note in audit.notes:
        click.echo(f"note: {note}")
    click.echo(f"report: {out / 'audit.md'}")
    if (out / EXCLUDE).exists():
        click.echo(f"{len(audit.excluded()):,} rows to leave out: fer-train train --exclude {out / EXCLUDE}")
