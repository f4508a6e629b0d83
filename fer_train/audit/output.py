"""Write the files of an audit: audit.json, audit.md, findings.csv, exclude.csv and contact sheets."""

import csv
import io
import json
from pathlib import Path
from typing import Any

from fer_train.audit.contact_sheet import write_contact_sheet
from fer_train.audit.findings import KINDS
from fer_train.audit.pipeline import NO_ROWS, Audit
from fer_train.audit.report import EXCLUDE, render_markdown, sheet_name, summarize
from fer_train.data.faces import EMOTIONS
from fer_train.errors import CheckpointError, ConfigError
from fer_train.files.durable import write_content

GITIGNORE = "# Written by fer-train audit: faces of FER2013 are never committed.\n*\n"


def claim_folder(out: Path) -> None:
    """Create the audit's own folder, in which git ignores everything, before the search starts.

    Raises:
        ConfigError: `out` is a file, or a folder with other content than an earlier audit.
        CheckpointError: `out` is not writable.
    """
    mark = out / ".gitignore"
    try:
        if out.exists() and not out.is_dir():
            raise ConfigError(f"cannot audit into {out}: it is a file. Fix: --out with a folder of its own")
        ours = mark.is_file() and mark.read_bytes() == GITIGNORE.encode()
        if out.is_dir() and not ours and any(out.iterdir()):
            raise ConfigError(
                f"cannot audit into {out}: it holds files and is not the folder of an earlier audit; everything in it "
                "would be hidden from git. Fix: --out with a folder of its own"
            )
        write_content(mark, GITIGNORE)
    except OSError as err:
        raise CheckpointError(f"cannot write {out}: {err}. Fix: --out with a folder that can be written") from err


def write_report(audit: Audit, out: Path, origin: dict[str, Any]) -> None:
    """Write all files into `out`, which `claim_folder` created, and delete those of an earlier audit.

    Args:
        audit: the findings.
        out: the folder.
        origin: sources of the faces, votes and predictions, for audit.json.

    Raises:
        CheckpointError: a file cannot be written.
    """
    for name in (EXCLUDE, *(sheet_name(kind) for kind in KINDS)):
        (out / name).unlink(missing_ok=True)
    for kind, about in KINDS.items():
        if about.has_sheet and audit.of_kind(kind):
            write_contact_sheet(audit, kind, about.title, out / sheet_name(kind))
    _write_findings(audit, out / "findings.csv")
    if NO_ROWS not in audit.notes:
        _write_exclude(audit, out / EXCLUDE)
    write_content(out / "audit.json", json.dumps(summarize(audit) | {"origin": origin}, indent=2) + "\n")
    write_content(out / "audit.md", render_markdown(audit, out))


def _write_findings(audit: Audit, path: Path) -> None:
    faces, excluded = audit.faces, audit.excluded()
    rows = []
    for finding in audit.findings:
        i = finding.index
        row = int(faces.rows[i])
        is_out = finding in excluded.get(i, [])
        group = finding.group if finding.group >= 0 else ""
        rows.append(
            [
                i,
                row if row >= 0 else "",
                faces.splits[i],
                EMOTIONS[faces.labels[i]],
                finding.kind,
                group,
                "yes" if is_out else "no",
                finding.detail,
            ]
        )
    _write_csv(path, ["index", "row", "split", "label", "kind", "group", "excluded", "detail"], rows)


def _write_exclude(audit: Audit, path: Path) -> None:
    faces = audit.faces
    rows = [
        [
            faces.rows[i],
            faces.splits[i],
            EMOTIONS[faces.labels[i]],
            "+".join(finding.kind for finding in found),
            "; ".join(finding.detail for finding in found),
        ]
        for i, found in audit.excluded().items()
    ]
    _write_csv(path, ["row", "split", "label", "reason", "detail"], rows)


def _write_csv(path: Path, header: list[str], rows: list[list[Any]]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    write_content(path, text.getvalue())
