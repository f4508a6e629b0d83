"""fer-train evaluate: measure a checkpoint on one split, in several views, on all faces and on those without a twin."""

import json
import logging
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
import numpy as np
from rich.console import Console

from fer_train import checkpoint
from fer_train.amp import resolve_device
from fer_train.cli.display import progress_bar, remind_of_test_split
from fer_train.data import read_faces
from fer_train.data.faces import has_classes_of, labels_in_words, own_label_set
from fer_train.errors import ConfigError
from fer_train.evaluation.evaluate import Evaluation, evaluate_split
from fer_train.evaluation.plots import plot_confusion, write_plots
from fer_train.evaluation.second_opinion import second_opinion
from fer_train.evaluation.tables import metrics_table, summary_table
from fer_train.evaluation.views import VIEWS
from fer_train.files.durable import write_atomically
from fer_train.privacy.portable_paths import shown_path


def evaluate(
    checkpoint_path: Path,
    data_path: Path,
    ferplus: Path | None,
    label_set: str | None,
    split: str,
    ten_crop: bool,
    as_json: bool,
    confusion: Path | None,
    plots: Path | None,
    predictions: Path | None,
    device: str | None,
) -> None:
    """Measure a checkpoint on one split; see `fer_train.cli.flags.evaluate` for the flags."""
    target = resolve_device(device or "auto")
    model, spec = checkpoint.load_release(checkpoint_path)
    faces = read_faces(data_path, ferplus=ferplus)
    views = VIEWS if ten_crop else ("plain", "flip")
    measured: list[Evaluation] = []
    for against in _label_sets(label_set, spec, ferplus):
        with progress_bar(f"{split}, {labels_in_words(against, spec['labels'])}, {', '.join(views)}") as on_batch:
            measured.append(
                evaluate_split(
                    model.to(target), faces, split, spec=spec, label_set=against, views=views, on_batch=on_batch
                )
            )
    own = measured[0]
    if confusion is not None:
        title = f"{checkpoint_path.name} on {split}, {own.in_words}, plain, official"
        plot_confusion(own.official(), own.names, confusion, title=title)
    if plots is not None:
        write_plots(own, plots, model=checkpoint_path.name)
    if predictions is not None:
        write_predictions(own, predictions)
    if as_json:
        click.echo(json.dumps(_json(measured, checkpoint_path)))
    else:
        for evaluation in measured:
            _print_tables(evaluation, checkpoint_path)
        _print_protocol(spec)
    remind_of_test_split(split)


def _label_sets(wanted: str | None, spec: dict[str, Any], ferplus: Path | None) -> list[str]:
    """Return the label sets to measure against; the model's own first."""
    if wanted == "ferplus" and ferplus is None:
        raise ConfigError(
            "--labels ferplus needs the taggers' votes. Fix: --ferplus fer2013new.csv (github.com/microsoft/FERPlus)"
        )
    if wanted is not None:
        return [wanted]
    own = own_label_set(spec)
    if ferplus is None or not has_classes_of("ferplus", spec["labels"]):
        if own == "ferplus":
            logging.warning(
                "this model answers as FER+'s taggers do; measured against FER2013's labels, which agree with them for "
                "67 % of the faces that have a majority. For its own measure: --ferplus fer2013new.csv"
            )
        return ["fer2013"]
    return ["ferplus", "fer2013"] if own == "ferplus" else ["fer2013", "ferplus"]


def write_predictions(measured: Evaluation, path: Path) -> None:
    """Write .npz: rows (N,) and labels (N,) int64, probs (N, C) float32 of the plain view, names (C,) and split."""

    def write(temporary: Path) -> None:
        with temporary.open("wb") as file:
            np.savez(
                file,
                rows=measured.faces.rows,
                labels=measured.faces.labels,
                probs=measured.probs("plain"),
                names=np.array(measured.names),
                split=np.array(measured.split),
            )

    write_atomically(path, write)


def _json(measured: list[Evaluation], checkpoint_path: Path) -> dict[str, object]:
    return {
        "checkpoint": shown_path(checkpoint_path),
        "split": measured[0].split,
        "label_set": measured[0].label_set,
        "why_not_clean": measured[0].why_not_clean or None,
        "views": _views(measured[0]),
        "labels": {
            evaluation.label_set: {
                "why_not_clean": evaluation.why_not_clean or None,
                "votes": {view: asdict(fit) for view, fit in evaluation.votes.items()},
                "second_opinion": None if (opinion := second_opinion(evaluation)) is None else opinion.to_dict(),
                "views": _views(evaluation),
            }
            for evaluation in measured
        },
    }


def _views(evaluation: Evaluation) -> dict[str, Any]:
    return {
        view: {protocol: None if m is None else m.to_dict() for protocol, m in by_protocol.items()}
        for view, by_protocol in evaluation.metrics.items()
    }


def _print_protocol(spec: dict[str, Any]) -> None:
    """Say which of the two numbers to read, where the checkpoint tells how it was trained."""
    meaning = {
        "clean": "the twins were left out of its training rows, so they do not inflate the official figure",
        "official": "it was trained on the twins and has seen their answers: read clean",
    }
    protocol = spec.get("provenance", {}).get("config", {}).get("protocol")
    if protocol in meaning:
        Console().print(f"trained under protocol {protocol}: {meaning[protocol]}", highlight=False, soft_wrap=True)


def _print_tables(measured: Evaluation, checkpoint_path: Path) -> None:
    console = Console()
    labels = measured.in_words
    console.print(summary_table(measured, title=f"{checkpoint_path} on {measured.split}, {labels}"))
    console.print(metrics_table(measured.official(), title=f"by class: {measured.split}, {labels}, plain, official"))
    if measured.label_set == "ferplus" and "plain" in measured.votes:
        fit = measured.votes["plain"]
        console.print(
            f"votes of {fit.num_faces:,} faces: KL to the model {fit.kl:.3f} nats; a tagger agrees with the model in "
            f"{fit.agreement:.1%}, with the taggers' first choice in {fit.best_agreement:.1%}",
            highlight=False,
            soft_wrap=True,
        )
    opinion = second_opinion(measured)
    if opinion is not None:
        console.print(opinion.in_words, highlight=False, soft_wrap=True)
    if measured.is_clean is None:
        console.print(f"clean: not measurable, {measured.why_not_clean}", highlight=False, soft_wrap=True)
    else:
        num_twins = int((~measured.is_clean).sum())
        console.print(
            f"official: every face. clean: without the {num_twins:,} whose pixels also stand in training rows",
            highlight=False,
            soft_wrap=True,
        )
