"""Build the report of an export: each artifact, its difference from PyTorch, and the cost of INT8 by layer."""

import json
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import onnx
import onnxruntime as ort
import torch

from fer_deploy.artifacts import file_sha256
from fer_deploy.export.checkpoint import Checkpoint
from fer_deploy.export.config import ExportConfig
from fer_deploy.export.plan.plans import BuiltPlan
from fer_deploy.export.report_plots import report_png
from fer_deploy.export.variants import Artifact
from fer_deploy.export.verify.compare import Comparison, Reference
from fer_deploy.export.verify.slice_report import runaway_lines, slice_lines
from fer_deploy.export.verify.slices import DESCRIPTIONS

_FORMAT = "fer-export-report-1"
_MB = 1e6
_SHOWN_COSTS = 8


@dataclass(frozen=True)
class Report:
    """Content of the report as plain values; JSON, Markdown and picture derive from it."""

    content: dict[str, Any]

    @classmethod
    def of(
        cls,
        config: ExportConfig,
        checkpoint: Checkpoint,
        reference: Reference,
        artifacts: Sequence[Artifact],
        comparisons: Sequence[Comparison],
        plans: Sequence[BuiltPlan],
        folder: Path,
    ) -> "Report":
        """Collect the content; `folder` contains the files to publish."""
        scores = reference.scores()
        return cls(
            {
                "format": _FORMAT,
                "checkpoint": {"name": checkpoint.path.name, "sha256": checkpoint.sha256},
                "architecture": artifacts[0].spec.architecture if artifacts else None,
                "opset": config.opset,
                "max_accuracy_drop": config.max_accuracy_drop,
                "failure": None,
                "notes": [],
                "slices": [
                    {
                        "slice": kind.value,
                        "made": DESCRIPTIONS[kind],
                        "num_faces": len(part.faces),
                        "faces": part.faces.source,
                    }
                    for kind, part in reference.slices.items()
                ],
                "reference": {
                    "engine": reference.description,
                    "faces": reference.faces.source,
                    "num_faces": len(reference.faces),
                    "faces_sha256": reference.faces.sha256(),
                    "scores": None if scores is None else asdict(scores),
                },
                "versions": {"torch": torch.__version__, "onnx": onnx.__version__, "onnxruntime": ort.__version__},
                "artifacts": [
                    _described(folder / artifact.name, comparison)
                    | {"requested": artifact.variant in config.chosen, "quantization": artifact.record or None}
                    for artifact, comparison in zip(artifacts, comparisons, strict=True)
                ],
                "plans": [
                    _described(plan.path, plan.comparison)
                    | {
                        "not_run": plan.not_run or None,
                        "flavor": plan.manifest.flavor.value,
                        "version": plan.manifest.version,
                        "target": plan.manifest.target.model_dump(mode="json"),
                        "precision_proof": plan.manifest.precision_proof.model_dump(mode="json"),
                    }
                    for plan in plans
                ],
            }
        )

    def with_outcome(
        self, *, failure: str | None = None, written: Collection[str] | None = None, notes: Sequence[str] = ()
    ) -> "Report":
        """Return the report with the text of the failures, the names of the written files, and notes on the limits."""
        content = dict(self.content) | {"failure": failure, "notes": list(notes)}
        if written is not None:
            for kind in ("artifacts", "plans"):
                content[kind] = [entry | {"written": entry["name"] in written} for entry in content[kind]]
        return Report(content)


def _described(path: Path, comparison: Comparison | None) -> dict[str, Any]:
    size, sha256 = path.stat().st_size, file_sha256(path)
    found = None if comparison is None else comparison.to_dict()
    return {"name": path.name, "bytes": size, "sha256": sha256, "comparison": found}


def report_files(report: Report, stem: str) -> dict[str, bytes]:
    """Return file name to content: `<stem>.json`, `<stem>.md` and, for labelled faces, `<stem>.png`."""
    files = {
        f"{stem}.json": (json.dumps(report.content, indent=2, ensure_ascii=False) + "\n").encode(),
        f"{stem}.md": as_markdown(report.content, f"{stem}.png").encode(),
    }
    if report.content["reference"]["scores"] is not None and report.content["artifacts"]:
        files[f"{stem}.png"] = report_png(report.content)
    return files


def as_markdown(content: dict[str, Any], picture: str) -> str:
    """Return the report as Markdown; `picture` is the file name of the plots."""
    reference = content["reference"]
    checkpoint = content["checkpoint"]
    lines = [
        f"# Export of {checkpoint['name']}",
        "",
        f"Checkpoint sha256 `{checkpoint['sha256']}`, ONNX opset {content['opset']}. "
        f"Compared with {reference['engine']} on {reference['num_faces']:,} faces: {reference['faces']} "
        f"(sha256 `{reference['faces_sha256'][:16]}...`).",
        "",
    ]
    if reference["scores"]:
        scores = reference["scores"]
        lines += [f"PyTorch: accuracy {scores['accuracy']:.2f} %, macro-F1 {scores['macro_f1']:.2f} %.", ""]
        lines += [f"![accuracy, recall and layer costs]({picture})", ""] if content["artifacts"] else []
    lines += [f"**Failed:** {content['failure']}", ""] if content["failure"] else []
    lines += [line for note in content["notes"] for line in (f"Note: {note}.", "")]
    lines += [*_table(content), ""]
    lines += _breach_lines(content)
    lines += slice_lines(content)
    for entry in content["artifacts"]:
        if entry["quantization"]:
            lines += _quantization_lines(entry["name"], entry["quantization"])
    lines += _plan_lines(content["plans"])
    versions = ", ".join(f"{name} {version}" for name, version in content["versions"].items())
    return "\n".join([*lines, f"Created with {versions}. Points are percentage points.", ""])


def _table(content: dict[str, Any]) -> list[str]:
    rows = [
        "| artifact | stage | MB | accuracy | change | F1 change | worst recall | same emotion | KL | max Δlogit "
        "| 99.9 % | verdict |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for entry in [*content["artifacts"], *content["plans"]]:
        found = entry["comparison"]
        size = f"{entry['bytes'] / _MB:.1f}"
        is_written = entry.get("written", entry.get("requested", True))
        name = entry["name"] if is_written else f"{entry['name']} (not written)"
        if found is None:
            rows.append(f"| {name} | engine | {size} | | | | | | | | | not run here |")
            continue
        verdict = "**fails**" if found["breaches"] else "holds"
        rows.append(
            f"| {name} | {found['stage']} | {size} | {_scores_cells(found)} | {found['agreement']:.2%} "
            f"| {found['kl']:.1e} | {found['max_abs_logit']:.1e} | {found['max_abs_logit_p999']:.1e} | {verdict} |"
        )
    return rows


def _scores_cells(found: dict[str, Any]) -> str:
    if found["change"] is None:
        return "no labels | | | "
    label, worst = min(found["change"]["recall"].items(), key=lambda item: item[1])
    change = found["change"]
    return (
        f"{found['scores']['accuracy']:.2f} % | {change['accuracy']:+.2f} | {change['macro_f1']:+.2f} "
        f"| {label} {worst:+.2f}"
    )


def _breach_lines(content: dict[str, Any]) -> list[str]:
    lines = []
    for entry in [*content["artifacts"], *content["plans"]]:
        if entry["comparison"] and entry["comparison"]["breaches"]:
            where = f"**{entry['name']} (stage {entry['comparison']['stage']}) fails:**"
            lines += [f"{where} {'; '.join(entry['comparison']['breaches'])}.", ""]
    return lines


def _quantization_lines(name: str, record: dict[str, Any]) -> list[str]:
    calibration = record["calibration"]
    kept = ", ".join(record["float_layers"]) or "none"
    lines = [
        f"## {name}",
        "",
        f"Ranges from {calibration['num_faces']} faces of {calibration['source']} "
        f"({calibration['num_degraded']} of the drawn faces were degraded; {calibration['num_left_out']} outliers were "
        f"left out; method {calibration['method']}, "
        f"seed {calibration['seed']}, sha256 `{calibration['faces_sha256'][:16]}...`). "
        f"Layers left in higher precision: {kept}, chosen on {record['chosen_on']}: on these faces, accuracy is "
        "slightly too good.",
        *runaway_lines(record),
        *([f"Ranges learned in training: {', '.join(calibration['learned'])}."] if calibration["learned"] else []),
        "",
        "| layer, quantized alone | KL | accuracy |",
        "|---|---|---|",
    ]
    for cost in record["layer_costs"][:_SHOWN_COSTS]:
        change = "" if cost["accuracy_change"] is None else f"{cost['accuracy_change']:+.2f}"
        lines.append(f"| {cost['layer']} | {cost['kl']:.1e} | {change} |")
    return [*lines, ""]


def _plan_lines(plans: list[dict[str, Any]]) -> list[str]:
    if not plans:
        return []
    lines = ["## Plans", ""]
    for plan in plans:
        proof, target = plan["precision_proof"], plan["target"]
        shares = ", ".join(f"{number} {name}" for name, number in proof["convolutions"].items())
        lines.append(
            f"- {plan['name']}: {plan['flavor']} {plan['version']}, compute capability "
            f"{', '.join(target['compute_capabilities'])}; convolutions: {shares} (asked: {proof['source']})"
            + (f". Not run here: {plan['not_run']}" if plan["not_run"] else "")
        )
    return [*lines, ""]
