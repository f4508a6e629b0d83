"""fer-train audit: what is wrong with the data, as a report and a list of rows to leave out."""

from pathlib import Path
from typing import Any, get_args

import click
from rich.console import Console
from rich.progress import Progress

from fer_train.audit import run_audit
from fer_train.audit.config import AuditConfig, LabelFilter, audit_config_from_flags
from fer_train.audit.findings import REASONS
from fer_train.audit.output import claim_folder, write_report
from fer_train.audit.predictions import read_predictions
from fer_train.audit.report import EXCLUDE, describe_predictions, findings_table
from fer_train.cli import options
from fer_train.data import read_faces
from fer_train.privacy.portable_paths import shown_path

_DEFAULTS = AuditConfig()


@click.command("audit")
@options.data
@options.ferplus
@click.option("--predictions", "predictions_path", type=options.PATH, help="out_of_fold.npz of fer-train crossval.")
@click.option("--out", default=Path("audit"), show_default=True, type=options.PATH, help="A folder of its own.")
@click.option(
    "--exclude-reasons",
    metavar="A,B,...",
    help=f"What exclude.csv holds: {', '.join(REASONS)}; or none.  [default: {','.join(_DEFAULTS.exclude_reasons)}]",
)
@click.option("--train-split", help=f"The split that exclude.csv cleans.  [default: {_DEFAULTS.train_split}]")
@click.option(
    "--near-threshold",
    type=float,
    help="Correlation of 16x16 thumbnails from which two faces are one photo; in FER2013 all of 240 pairs looked at, "
    f"down to 0.97, were one.  [default: {_DEFAULTS.near_threshold}]",
)
@click.option(
    "--blank-range",
    type=int,
    help="An image that spans fewer gray levels (5th to 95th percentile) is no face.  "
    f"[default: {_DEFAULTS.blank_range}]",
)
@click.option(
    "--contrast-range",
    type=int,
    help=f"One that spans fewer than these has low contrast.  [default: {_DEFAULTS.contrast_range}]",
)
@click.option(
    "--label-filter",
    type=click.Choice(get_args(LabelFilter)),
    help=f"cleanlab's rule for a label error.  [default: {_DEFAULTS.label_filter}]",
)
@click.option(
    "--min-accuracy",
    type=float,
    help="Predictions that are right less often, 0 to 1, are reported but leave no row out for its label.  "
    f"[default: {_DEFAULTS.min_accuracy}]",
)
@click.option(
    "--max-flagged",
    type=float,
    help="The same where they doubt a greater share of the labels; predictions that are right for 67 % of PublicTest "
    f"doubt 16 to 26 % of it.  [default: {_DEFAULTS.max_flagged}]",
)
def command(data_path: Path, ferplus: Path | None, predictions_path: Path | None, out: Path, **flags: Any) -> None:
    """Find duplicates, leakage, non-faces and likely label errors; writes OUT/audit.md and OUT/exclude.csv."""
    config = audit_config_from_flags(flags)
    faces = read_faces(data_path, ferplus=ferplus)
    predictions = None if predictions_path is None else read_predictions(predictions_path, faces)
    claim_folder(out)
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("near duplicates", total=None)
        audit = run_audit(
            faces, config, predictions=predictions,
            on_block=lambda done, total: progress.update(task, completed=done, total=total),
        )  # fmt: skip
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
