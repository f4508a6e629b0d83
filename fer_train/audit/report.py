"""Summarize an audit as JSON, as a table for the terminal and as Markdown."""

from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.table import Table

from fer_train import __version__
from fer_train.audit.findings import KINDS
from fer_train.audit.pipeline import NO_ROWS, Audit
from fer_train.privacy.portable_paths import shown_path

EXCLUDE = "exclude.csv"


def sheet_name(kind: str) -> str:
    """Return the file name of a kind's contact sheet."""
    return f"contact_sheet_{kind}.png"


def summarize(audit: Audit) -> dict[str, Any]:
    """Return counts, thresholds and provenance as plain values for JSON."""
    excluded = audit.excluded()
    by_reason = Counter(finding.kind for found in excluded.values() for finding in found)
    return {
        "fer_train_version": __version__,
        "data": {
            "source_sha256": audit.faces.source_sha256,
            "splits": audit.faces.counts(),
            "has_votes": audit.faces.votes is not None,
            "num_predictions": audit.num_predictions,
        },
        "predictions": None if audit.prediction_quality is None else asdict(audit.prediction_quality),
        "config": audit.config.model_dump(mode="json"),
        "faces": {kind: _count_splits(audit, kind) for kind in KINDS},
        "groups": {
            kind: len({finding.group for finding in audit.of_kind(kind)})
            for kind in ("exact_duplicate", "near_duplicate", "contradictory")
        },
        "excluded": {"total": len(excluded), "by_reason": {r: by_reason[r] for r in audit.config.exclude_reasons}},
        "notes": audit.notes,
    }


def findings_table(audit: Audit) -> Table:
    """Return a table with one row per kind: the faces of each split, and how many of them to leave out."""
    table = Table(title="what the audit found (faces)", caption="a face may be in several rows")
    splits = list(audit.faces.counts())
    for column in ("finding", *splits, "left out"):
        table.add_column(column, justify="left" if column == "finding" else "right")
    for row in _count_rows(audit):
        table.add_row(*row)
    table.add_section()
    table.add_row("all", *(f"{count:,}" for count in audit.faces.counts().values()), f"{len(audit.excluded()):,}")
    return table


def render_markdown(audit: Audit, out: Path) -> str:
    """Return the report as Markdown: counts, the meaning of each kind, and the next steps."""
    splits = list(audit.faces.counts())
    config = audit.config
    lines = [
        "# Audit",
        "",
        f"{len(audit.faces):,} faces: {', '.join(f'{s} {c:,}' for s, c in audit.faces.counts().items())}. "
        f"Source SHA-256 `{audit.faces.source_sha256}`.",
        "",
        f"| finding | {' | '.join(splits)} | left out |",
        f"|---|{'--:|' * (len(splits) + 1)}",
        *(f"| {' | '.join(row)} |" for row in _count_rows(audit)),
        "",
        f"Thresholds: correlation {config.near_threshold:g} (near duplicates), {config.blank_range} gray levels "
        f"(blank), {config.contrast_range} gray levels (low contrast), cleanlab's {config.label_filter} (label "
        f"errors, {audit.num_predictions:,} faces with predictions).",
    ]
    if audit.prediction_quality is not None:
        lines += ["", *(f"{line[0].upper()}{line[1:]}." for line in describe_predictions(audit))]
    if audit.notes:
        lines += ["", "## What was not done", "", *(f"* {note}" for note in audit.notes)]
    lines += ["", "## How to use it", "", _how_to_use(audit, out)]
    for kind, about in KINDS.items():
        lines += ["", f"## {about.title[0].upper()}{about.title[1:]}", "", about.meaning]
        if about.has_sheet and audit.of_kind(kind):
            lines += ["", f"![{about.title}]({sheet_name(kind)})"]
    return "\n".join(lines) + "\n"


def describe_predictions(audit: Audit) -> list[str]:
    """Return the quality of the predictions and, if they exclude no row, a warning; empty without predictions."""
    quality = audit.prediction_quality
    if quality is None:
        return []
    lines = [
        f"predictions for {audit.num_predictions:,} faces: {quality.accuracy:.1%} right out of fold (the most frequent "
        f"label alone: {quality.majority:.1%}), {quality.flagged:.1%} reported as likely label errors"
    ]
    return [*lines, f"warning: {quality.fault}"] if audit.is_held_back("label_error") else lines


def _how_to_use(audit: Audit, out: Path) -> str:
    if NO_ROWS in audit.notes:
        return "`findings.csv` has every finding. There is no `exclude.csv`, see above."
    reasons = ", ".join(name for name in audit.config.exclude_reasons if not audit.is_held_back(name)) or "none"
    return (
        f"`{EXCLUDE}` has {len(audit.excluded()):,} rows of {audit.config.train_split}, for these reasons: {reasons}. "
        "Look at the contact sheets, choose with `--exclude-reasons`, then leave them out of training:\n\n"
        f"    fer-train train --exclude {shown_path(out / EXCLUDE)} --config ... --data ...\n\n"
        "`findings.csv` has every finding, in all splits. To see whether excluding rows helps, train once with them "
        "and once without. Git ignores this folder, because the contact sheets show faces of the data set."
    )


def _count_rows(audit: Audit) -> list[list[str]]:
    excluded = Counter(finding.kind for found in audit.excluded().values() for finding in found)
    not_done = {"label_error"} if not audit.num_predictions else set()
    rows = []
    for kind, about in KINDS.items():
        counts = ["not done" if kind in not_done else f"{c:,}" for c in _count_splits(audit, kind).values()]
        left_out = f"{excluded[kind]:,}" if kind in audit.config.exclude_reasons else "-"
        left_out = "held back" if audit.is_held_back(kind) else left_out
        rows.append([about.title, *counts, left_out])
    return rows


def _count_splits(audit: Audit, kind: str) -> dict[str, int]:
    counts = Counter(str(audit.faces.splits[finding.index]) for finding in audit.of_kind(kind))
    return {split: counts[split] for split in audit.faces.counts()}
