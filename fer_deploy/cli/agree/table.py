"""What fer-deploy agree prints: coverage, kappa and recalls, and the confusion of the shown labels."""

from rich.console import Console
from rich.table import Table

from fer_deploy.agreement.agreement import KINDS, Agreement
from fer_deploy.analyze.report.stacks import count_text
from fer_deploy.live.file_names import printable


def print_agreement(found: Agreement) -> None:
    """Print an agreement to standard output."""
    console = Console(markup=False, highlight=False)
    coverage = found.coverage
    console.print(
        f"{count_text(coverage.num_moments, 'coded moment')} of {count_text(found.num_people, 'person', 'people')} in "
        f"{', '.join(map(printable, found.videos))}: {coverage.num_no_face:,} without a face, "
        f"{coverage.num_unreadable:,} unreadable, {coverage.num_unsure:,} unsure",
        soft_wrap=True,
    )
    if runs := [run for run in found.runs if run]:
        console.print(f"{'run' if len(runs) == 1 else 'runs'} {', '.join(runs)}", soft_wrap=True)
    for note in found.notes:
        console.print(f"note: {note}", soft_wrap=True)
    console.print(_measures(found))
    console.print(_confusion(found))
    if found.num_people > 1:
        console.print(
            f"in parentheses: 95 % intervals, {found.num_samples:,} bootstrap samples of people, seed {found.seed}",
            soft_wrap=True,
        )
    else:
        console.print("no intervals: they need faces of at least two people", soft_wrap=True)


def _measures(found: Agreement) -> Table:
    table = Table(title="agreement with the codes", title_justify="left")
    table.add_column("")
    for kind in KINDS:
        table.add_column(f"{kind} label", justify="right")
    compared = [found.compared[kind] for kind in KINDS]
    table.add_row("compared", *(f"{one.num:,}" for one in compared))
    table.add_row("Cohen's kappa", *(one.measures.kappa.text for one in compared))
    table.add_row("accuracy", *(one.measures.accuracy.text for one in compared))
    for label in found.labels:
        table.add_row(f"recall of {printable(label)}", *(one.measures.recall[label].text for one in compared))
    return table


def _confusion(found: Agreement) -> Table:
    one = found.compared["shown"]
    used = [
        index for index, name in enumerate(one.columns) if name not in found.labels or one.confusion[:, index].any()
    ]
    table = Table(title="shown labels by code: a row for each code", title_justify="left")
    table.add_column("code")
    for index in used:
        table.add_column(printable(one.columns[index]), justify="right")
    for label, row in zip(found.labels, one.confusion, strict=True):
        if row.any():
            table.add_row(printable(label), *(f"{row[index]:,}" for index in used))
    return table
