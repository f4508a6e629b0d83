"""Train one recipe several times, over seeds or over folds of the training split; report mean and deviation."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.table import Table

from fer_train.config import TrainConfig
from fer_train.config_file import config_from_dict
from fer_train.data.consensus import has_majority
from fer_train.data.faces import Faces
from fer_train.data.splits import pixel_hashes, take_split
from fer_train.errors import ConfigError
from fer_train.evaluation.evaluate import measure, predict_logits
from fer_train.files.durable import write_atomically
from fer_train.training.run import Run
from fer_train.training.session import train_one, world_of, write_json

MEASURES = ("accuracy", "f1", "precision", "recall", "loss")


def parse_seeds(text: str) -> list[int]:
    """Return the seeds in text such as "0..4" (both ends included) or "0,3,7".

    Raises:
        ConfigError: the text has another form, no seed, or one seed twice.
    """
    span = re.fullmatch(r"(\d+)\.\.(\d+)", text)
    if span:
        seeds = list(range(int(span[1]), int(span[2]) + 1))
    elif re.fullmatch(r"\d+(,\d+)*", text):
        seeds = [int(part) for part in text.split(",")]
    else:
        seeds = []
    if not seeds or len(set(seeds)) != len(seeds):
        raise ConfigError(f"--seeds {text!r} is not a list of different seeds. Fix: --seeds 0..4 or --seeds 0,1,7")
    return seeds


def train_seeds(
    config: TrainConfig, faces: Faces, out: Path, *, seeds: Sequence[int], tensorboard: bool = True
) -> dict[str, Any]:
    """Train one model per seed into OUT/seed-<n> and write OUT/seeds.json; finished seeds are not trained again.

    The values are those of the last epoch, because a best epoch would be chosen on the faces that measure it.

    Raises:
        FerTrainError: see `fit`.
    """
    configs = [config_from_dict(config.model_dump() | {"seed": seed}, where="--seeds") for seed in seeds]
    rows = []
    with world_of(config) as world:
        for each in configs:
            folder = out / f"seed-{each.seed}"
            run = train_one(each, faces, folder, resume=(folder / "last.pt").exists(), tensorboard=tensorboard)
            last = run.history[-1]
            best = max(row["accuracy"] for row in run.history)
            rows.append({"seed": each.seed, **{name: last[name] for name in MEASURES}, "best_accuracy": best})
            against = {"against": "teachers"} if run.is_judged_by_teachers else {}
            summary = {"split": config.validation_split, **against, "runs": rows, **_spread(rows)}
            if world.is_first:
                write_json(out / "seeds.json", summary)
    return summary


def fold_numbers(
    labels: NDArray[np.int64], images: NDArray[np.uint8], *, num_folds: int, seed: int
) -> NDArray[np.int64]:
    """Return (N,) fold numbers: the fold that holds out each face; classes spread evenly, equal pixels in one fold.

    Raises:
        ConfigError: there are fewer than two folds, or a class has fewer faces than folds.
    """
    rarest = int(np.bincount(labels)[np.unique(labels)].min())
    if not 2 <= num_folds <= rarest:
        raise ConfigError(
            f"--folds is {num_folds}; it must be from 2 to {rarest}, the number of faces of the rarest class. "
            "Fix: --folds in that range, or more faces of that class"
        )
    from sklearn.model_selection import StratifiedGroupKFold  # noqa: PLC0415 - takes as long to import as PyTorch

    splitter = StratifiedGroupKFold(n_splits=num_folds, shuffle=True, random_state=seed)
    folds = np.zeros(len(labels), dtype=np.int64)
    for fold, (_, held_out) in enumerate(splitter.split(images.reshape(len(images), -1), labels, pixel_hashes(images))):
        folds[held_out] = fold
    return folds


def require_unseen_folds(config: TrainConfig) -> None:
    """Refuse a config whose folds would not be new to its weights.

    Raises:
        ConfigError: it starts or learns from trained weights.
    """
    seen = {"init": config.init, "distillation": config.distillation}
    if given := [name for name, value in seen.items() if value is not None]:
        raise ConfigError(
            f"{' and '.join(given)}: those weights may have seen the faces that a fold holds out. "
            f"Fix: {', '.join(f'{name}: null' for name in given)} in the config"
        )


def cross_validate(
    config: TrainConfig, faces: Faces, out: Path, *, num_folds: int, tensorboard: bool = True
) -> dict[str, Any]:
    """Train one model per fold of the training split and predict the faces it did not see.

    Writes OUT/fold-<n>/, OUT/out_of_fold.npz (rows, labels, probs; for `fer-train audit --predictions`) and
    OUT/crossval.json. Predictions come from the last epoch, so no fold chooses its own checkpoint. Other splits are
    not used. Finished folds are not trained again. With FER+'s labels, a fold is measured on its faces with a
    majority; training uses all faces whose most frequent vote is an emotion.

    Raises:
        FerTrainError: see `fit`, `fold_numbers` and `require_unseen_folds`.
    """
    require_unseen_folds(config)
    train = take_split(faces, config.train_split)
    measured = has_majority(train)
    folds = fold_numbers(train.labels, train.images, num_folds=num_folds, seed=config.seed)
    probs = np.zeros((len(train), config.num_classes), dtype=np.float32)
    rows = []
    with world_of(config) as world:
        for fold in range(num_folds):
            held_out = folds == fold
            folder = out / f"fold-{fold}"
            run = train_one(
                config,
                _as_splits(train, held_out, config).select(~held_out | measured),
                folder,
                resume=(folder / "last.pt").exists(),
                tensorboard=tensorboard,
            )
            logits = _predict(run, train.select(held_out))
            metrics = measure(logits[measured[held_out]], train.labels[held_out & measured])
            probs[held_out] = torch.from_numpy(logits).softmax(dim=1).numpy()
            rows.append({"fold": fold, "num_faces": metrics.num_faces, **{m: getattr(metrics, m) for m in MEASURES}})
            summary = {"split": config.train_split, "runs": rows, **_spread(rows)}
            if world.is_first:
                write_json(out / "crossval.json", summary)
        if world.is_first:
            _write_predictions(out / "out_of_fold.npz", train, probs)
    return summary


def spread_table(summary: dict[str, Any], *, title: str) -> Table:
    """Return a table of at most 80 columns: one row per run, then means and standard deviations."""
    against = ", agreement with the teachers" if summary.get("against") == "teachers" else ""
    table = Table(title=f"{title}, {summary['split']}, last epoch{against}")
    first = next(iter(summary["runs"][0]))
    for column in (first, *MEASURES):
        table.add_column(column, justify="right")
    for row in summary["runs"]:
        table.add_row(str(row[first]), *_in_digits(row))
    table.add_section()
    table.add_row("mean", *_in_digits(summary["mean"]))
    if summary["sd"]:
        table.add_row("± sd", *_in_digits(summary["sd"]))
    return table


def _in_digits(measured: dict[str, Any]) -> list[str]:
    return [f"{measured[name]:.4f}" for name in MEASURES]


def _as_splits(train: Faces, held_out: NDArray[np.bool_], config: TrainConfig) -> Faces:
    return replace(train, splits=np.where(held_out, config.validation_split, config.train_split))


def _predict(run: Run, faces: Faces) -> NDArray[np.float32]:
    return predict_logits(run.released, faces.resized(run.config.image_size).images, device=run.device)


def _spread(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return mean and sample standard deviation of each value; None as deviation of a single run."""
    values = {name: [row[name] for row in rows] for name in MEASURES}
    mean = {name: float(np.mean(column)) for name, column in values.items()}
    sd = {name: float(np.std(column, ddof=1)) for name, column in values.items()} if len(rows) > 1 else None
    return {"mean": mean, "sd": sd}


def _write_predictions(path: Path, train: Faces, probs: NDArray[np.float32]) -> None:
    def write(temporary: Path) -> None:
        with temporary.open("wb") as file:
            np.savez_compressed(file, rows=train.rows, labels=train.labels, probs=probs)

    write_atomically(path, write)
