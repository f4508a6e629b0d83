"""fer-train soup: average the weights of several fine-tuned checkpoints into one model."""

from collections.abc import Sequence
from pathlib import Path

import click
import torch
from rich.console import Console
from rich.table import Table

from fer_train.amp import resolve_device
from fer_train.checkpoint import save_release
from fer_train.cli import training_inputs
from fer_train.cli.display import progress_bar
from fer_train.config import TrainConfig
from fer_train.config_file import config_from_dict
from fer_train.data import Faces, read_faces, take_split
from fer_train.data.faces import labels_in_words, own_label_set
from fer_train.errors import ConfigError
from fer_train.evaluation.ensemble import Member
from fer_train.evaluation.evaluate import evaluate_split
from fer_train.release.soup import Trial, accuracy_on, choose_greedily, describe_soup, load_ingredients, make_soup


def soup(
    checkpoints: tuple[Path, ...],
    weights: tuple[float, ...],
    data_path: Path,
    greedy: bool,
    batch_norm: str,
    out: Path,
    device: str | None,
    **lists: Path | None,
) -> None:
    """Average the weights of fine-tuned checkpoints; see `fer_train.cli.flags.soup` for the flags."""
    is_measured = batch_norm == "measure"
    if greedy and not is_measured:
        raise ConfigError("--greedy measures batch norm for each choice. Fix: leave --greedy or --batch-norm mean out")
    if out.resolve() in [path.resolve() for path in checkpoints]:
        raise ConfigError(f"--out {out} is one of the checkpoints. Fix: another file, such as soup.safetensors")
    target = resolve_device(device or "auto")
    ingredients = load_ingredients(checkpoints, weights or None)
    first = ingredients[0]
    training_inputs.require_votes_for(first.spec, first.path, lists["ferplus"])
    config = config_from_dict(first.spec["provenance"]["config"], where=str(first.path))
    faces = training_inputs.load_training_faces(
        config, data_path, ferplus=lists["ferplus"], twin_rows=lists["twin_rows"], exclude=lists["exclude"]
    )
    training = take_split(faces, config.train_split)
    _check_rows(training, ingredients)
    trials = _try(ingredients, faces, config, target) if greedy else []
    chosen = [trial.ingredient for trial in trials if trial.is_kept] if trials else ingredients
    with progress_bar("batch-norm statistics") as on_batch:
        model = make_soup(chosen, training if is_measured else None, device=target, on_batch=on_batch)
    spec = describe_soup(chosen, faces, trials, device=target, is_recalibrated=is_measured)
    every_row = read_faces(
        data_path, ferplus=lists["ferplus"]
    )  # those that the protocol leaves out tell which faces have a twin
    with progress_bar(config.validation_split) as on_batch:
        measured = evaluate_split(
            model, every_row, config.validation_split, spec=spec, label_set=own_label_set(spec), on_batch=on_batch
        )
    spec["metrics"] = {measured.split: measured.for_spec()}
    save_release(out, model, spec)
    figures = ", ".join(f"{measured.official(view).accuracy:.2%} {view} official" for view in measured.logits)
    flatters = "; this split chose the ingredients, so that it flatters" if trials else ""
    click.echo(
        f"{out}: mean of {len(chosen)} models; {measured.split}, {measured.in_words}: accuracy {figures}{flatters}"
    )


def _check_rows(training: Faces, ingredients: Sequence[Member]) -> None:
    """Refuse to measure batch norm on rows that every ingredient left out of the same data.

    Raises:
        ConfigError: the ingredients were trained on fewer rows of the same data.
    """
    origins = [member.spec["provenance"] for member in ingredients]
    most = max(sum(n for s, n in origin["num_faces"].items() if s == training.splits[0]) for origin in origins)
    if all(origin["data_sha256"] == training.source_sha256 for origin in origins) and len(training) > most:
        raise ConfigError(
            f"{len(training):,} rows of {training.splits[0]} are kept, the checkpoints were trained on {most:,} of the "
            "same data. Fix: the --twin-rows and --exclude that they were trained with"
        )


def _try(ingredients: Sequence[Member], faces: Faces, config: TrainConfig, device: torch.device) -> list[Trial]:
    """Choose greedily on the validation split and print the outcome for each ingredient."""
    validation, training = take_split(faces, config.validation_split), take_split(faces, config.train_split)
    accuracy = accuracy_on(validation, training, spec=ingredients[0].spec, device=device)
    with progress_bar("soups tried") as on_batch:
        num_tried = 0

        def counted(soup: Sequence[Member]) -> float:
            nonlocal num_tried
            result = accuracy(soup)
            num_tried += 1
            on_batch(num_tried, 2 * len(ingredients) - 1)
            return result

        trials = choose_greedily(ingredients, counted)
    against = labels_in_words(config.labels, ingredients[0].spec["labels"])
    table = Table(title=f"{config.validation_split}, {against}, {len(validation):,} faces, plain")
    for column in ("", "alone", "soup with it", ""):
        table.add_column(column, justify="right" if column else "left")
    for trial in trials:
        row = (f"{trial.alone:.2%}", f"{trial.together:.2%}", "kept" if trial.is_kept else "left out")
        table.add_row(str(trial.ingredient.path), *row)
    Console().print(table)
    return trials
