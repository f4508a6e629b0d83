"""fer-train ensemble: average the probabilities of several checkpoints, or measure such an ensemble as it is."""

import json
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from fer_train.amp import resolve_device
from fer_train.cli import training_inputs
from fer_train.cli.display import remind_of_test_split
from fer_train.config import TEST_SPLIT
from fer_train.data import Faces, read_faces, take_split
from fer_train.data.consensus import majority_faces
from fer_train.data.faces import LABEL_SETS, labels_in_words
from fer_train.errors import ConfigError, DataError
from fer_train.evaluation.ensemble import NUM_FOLDS, Ensemble, average, choose_weights, crossfitted_weights, log_probs
from fer_train.evaluation.evaluate import measure
from fer_train.privacy.portable_paths import shown_path

_NOTES = {
    "equal": "equal weights",
    "chosen": "chosen weights, measured on the faces that chose them: flattering",
    "crossfitted": f"chosen weights, cross-fitted: {NUM_FOLDS} folds, each with weights that the others chose",
    "frozen": "weights as in the file; nothing was chosen here",
}


def ensemble(
    checkpoints: tuple[Path, ...],
    use: Path | None,
    data_path: Path,
    ferplus: Path | None,
    split: str,
    flip: bool,
    weights: str | None,
    out: Path | None,
    as_json: bool,
    device: str | None,
) -> None:
    """Average the probabilities of several checkpoints; see `fer_train.cli.flags.ensemble` for the flags."""
    _check_flags(checkpoints, use, split, weights, out)
    target = resolve_device(device or "auto")
    ensemble = Ensemble.of(checkpoints) if use is None else Ensemble.load(use)
    if use is None and weights != "equal":
        _check_unseen(ensemble, split)
    first = ensemble.members[0]
    training_inputs.require_votes_for(first.spec, first.path, ferplus)
    faces = _judged_faces(ensemble, take_split(read_faces(data_path, ferplus=ferplus), split), split)
    views = ("plain", "flip") if flip else ("plain",)
    probs = {view: ensemble.member_probs(faces.images, device=target, flip=view == "flip") for view in views}
    shares = {"equal": np.full(len(ensemble.members), 1 / len(ensemble.members))}
    if use is not None:
        shares["frozen"] = ensemble.weights
    elif weights != "equal":
        shares["chosen"] = choose_weights(probs[views[-1]], faces.labels)
        shares["crossfitted"] = crossfitted_weights(probs[views[-1]], faces)
    kept = ensemble.weights if use is not None else shares.get("chosen", shares["equal"])
    report = _report(ensemble, faces, split, probs, shares)
    if out is not None:
        ensemble.save(out, kept, {"weights": "chosen" if "chosen" in shares else "equal", "measured": report})
    if as_json:
        click.echo(json.dumps(report | {"weights": kept.tolist()}))
    else:
        _print(ensemble, kept, report)
        click.echo(f"{use} as it is" if use is not None else f"wrote {out}")
    remind_of_test_split(split)


def _judged_faces(ensemble: Ensemble, faces: Faces, split: str) -> Faces:
    """Return the faces of a split with the labels that the members answer with.

    Raises:
        DataError: no face has one, or a label that the members do not know.
    """
    if ensemble.label_set == "ferplus":
        faces = majority_faces(faces, split)
    names = LABEL_SETS[faces.label_set]
    present = [names[label] for label in np.unique(faces.labels)]
    is_named = bool(set(names) & set(ensemble.labels))  # other classes go by number
    if is_named and (unknown := [n for n in present if n not in ensemble.labels[names.index(n) :][:1]]):
        raise DataError(
            f"{split} holds {', '.join(unknown)}; the members know {', '.join(ensemble.labels)}. "
            "Fix: members that were trained on these classes"
        )
    if (highest := int(faces.labels.max())) >= len(ensemble.labels):
        raise DataError(
            f"{split} holds label {highest}, the members know {len(ensemble.labels)} classes. "
            "Fix: members that were trained on these classes"
        )
    return faces


def _check_flags(
    checkpoints: tuple[Path, ...], use: Path | None, split: str, weights: str | None, out: Path | None
) -> None:
    """Refuse flags that contradict each other.

    Raises:
        ConfigError: as its message says.
    """
    if use is not None and (checkpoints or weights is not None or out is not None):
        raise ConfigError("--use measures an ensemble as it is. Fix: leave --checkpoint, --weighting and --out out")
    if use is None and out is None:
        raise ConfigError("nowhere to write the ensemble. Fix: --out ensemble.json, or --use with one that exists")
    if use is None and weights != "equal" and split == TEST_SPLIT:
        raise ConfigError(
            f"{TEST_SPLIT} is for measuring, not for choosing weights. Fix: --split PublicTest, and then "
            f"--split {TEST_SPLIT} --use ensemble.json"
        )
    if out is not None and out.resolve() in [path.resolve() for path in checkpoints]:
        raise ConfigError(f"--out {out} is one of the checkpoints. Fix: another file, such as ensemble.json")


def _check_unseen(ensemble: Ensemble, split: str) -> None:
    """Refuse to choose weights by faces that a member was trained on: who learned them by heart would win.

    Raises:
        ConfigError: as its message says.
    """
    for member in ensemble.members:
        if member.spec.get("provenance", {}).get("config", {}).get("train_split") == split:
            raise ConfigError(
                f"{member.path} was trained on {split}, and weights chosen there favor who learned it by heart. "
                "Fix: --split PublicTest, or --weighting equal"
            )


def _report(
    ensemble: Ensemble,
    faces: Faces,
    split: str,
    probs: dict[str, NDArray[np.float64]],
    shares: dict[str, NDArray[np.float64]],
) -> dict[str, Any]:
    """Return what was measured: by view each member alone and each kind of weights, with what that kind means."""
    return {
        "split": split,
        "label_set": faces.label_set,
        "against": labels_in_words(faces.label_set, ensemble.labels),
        "num_faces": len(faces),
        "data_sha256": faces.source_sha256,
        "weights_chosen_on": list(probs)[-1] if "chosen" in shares else None,
        "notes": {kind: _NOTES[kind] for kind in shares},
        "views": {
            view: {
                "members": [
                    {"path": shown_path(member.path)} | _measures(answers, faces)
                    for member, answers in zip(ensemble.members, members, strict=True)
                ],
                **{kind: _measures(average(members, weights), faces) for kind, weights in shares.items()},
            }
            for view, members in probs.items()
        },
    }


def _measures(probs: NDArray[np.float64], faces: Faces) -> dict[str, float]:
    metrics = measure(log_probs(probs), faces.labels)
    return {"accuracy": metrics.accuracy, "f1": metrics.f1, "loss": metrics.loss}


def _print(ensemble: Ensemble, weights: NDArray[np.float64], report: dict[str, Any]) -> None:
    console = Console()
    for view, measured in report["views"].items():
        table = Table(title=f"{report['split']}, {report['against']}, {report['num_faces']:,} faces, {view}")
        for column in ("", "weight", "accuracy", "macro F1", "loss"):
            table.add_column(column, justify="right" if column else "left")
        for member, weight, row in zip(ensemble.members, weights, measured["members"], strict=True):
            table.add_row(member.path.name, f"{weight:.3f}", *_cells(row))
        table.add_section()
        for kind in report["notes"]:
            table.add_row(kind, "", *_cells(measured[kind]))
        console.print(table)
    for kind, note in report["notes"].items():
        console.print(f"{kind}: {note}", highlight=False, soft_wrap=True)


def _cells(row: dict[str, float]) -> list[str]:
    return [f"{row['accuracy']:.2%}", f"{row['f1']:.4f}", f"{row['loss']:.4f}"]
