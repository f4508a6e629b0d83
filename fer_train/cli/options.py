"""Flags that several commands share, and the reading of data that belongs to them."""

import contextlib
import logging
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from fer_train import signals
from fer_train.config import TrainConfig
from fer_train.data import Faces, apply_protocol, read_faces
from fer_train.data.cache import file_sha256
from fer_train.data.faces import RowList
from fer_train.data.splits import read_row_numbers
from fer_train.distributed import is_first_process
from fer_train.errors import DataError
from fer_train.signals import Stopped

_RowFile = tuple[Path | None, NDArray[np.int64] | None]

PATH = click.Path(path_type=Path)

data = click.option(
    "--data", "data_path", required=True, type=PATH,
    help="fer2013.csv, icml_face_data.csv, or a folder with train/<class>/ and test/<class>/.",
)  # fmt: skip
device = click.option("--device", default=None, help="auto, cpu, cuda or cuda:N.")
ferplus = click.option("--ferplus", type=PATH, help="FER+ votes (fer2013new.csv), joined row by row.")
twin_rows = click.option(
    "--twin-rows", type=PATH,
    help="Row numbers left out under the clean protocol: twins of a split that this copy lacks.",
)  # fmt: skip
exclude = click.option(
    "--exclude", type=PATH, help="Training rows to leave out: exclude.csv of fer-train audit, or one number a line."
)


def load_training_faces(
    config: TrainConfig, data_path: Path, *, ferplus: Path | None = None, twin_rows: Path | None = None,
    exclude: Path | None = None,
) -> Faces:  # fmt: skip
    """Read the faces and apply the config's protocol and the user's exclusions, whose files `row_lists` names.

    Raises:
        DataError: a file that cannot be used.
    """
    if twin_rows is not None and config.protocol != "clean":
        logging.warning("--twin-rows is not used: the protocol is %s. --exclude holds under both", config.protocol)
        twin_rows = None
    if ferplus is not None and not config.ferplus_share:
        logging.warning("--ferplus is not used: ferplus_share is 0. To learn from the votes: ferplus_share: 0.5")
        ferplus = None
    faces = read_faces(data_path, ferplus=ferplus)
    twins, excluded = (None if path is None else read_row_numbers(path) for path in (twin_rows, exclude))
    training_rows = faces.rows[faces.splits == config.train_split]
    _check_lists(training_rows, config, {"--twin-rows": (twin_rows, twins), "--exclude": (exclude, excluded)})
    kept = apply_protocol(faces, config.protocol, config.train_split, twins, exclude_rows=excluded)
    logging.info("%s protocol leaves out %d rows: %s", config.protocol, len(faces) - len(kept), kept.counts())
    return replace(kept, row_lists=tuple(
        RowList(flag, path.name, file_sha256(path), int(np.isin(training_rows, rows).sum()))
        for flag, path, rows in [("--twin-rows", twin_rows, twins), ("--exclude", exclude, excluded)]
        if path is not None and rows is not None
    ))  # fmt: skip


def _check_lists(training_rows: NDArray[np.int64], config: TrainConfig, lists: dict[str, _RowFile]) -> None:
    """Refuse lists that name no training row, or all of them."""
    for flag, (path, rows) in lists.items():
        if path is None or rows is None or not len(rows) or not len(training_rows) or (training_rows < 0).any():
            continue
        named = int(np.isin(training_rows, rows).sum())
        if named in (0, len(training_rows)):
            raise DataError(
                f"{flag} {path} names {'none' if named == 0 else 'all'} of the {len(training_rows):,} rows of "
                f"{config.train_split}. Fix: the list that was made for this --data, or leave {flag} out"
            )


def training(command: Callable[..., None], *, suffix: str = "") -> Callable[..., None]:
    """Add the flags of every command that trains; `suffix` ends the name of its folder."""
    for option in reversed((
        click.option("--config", "config_path", required=True, type=PATH, help="YAML; see configs/train/."),
        data, ferplus, twin_rows, exclude,
        click.option("--out", type=PATH, help=f"Folder of the run.  [default: runs/<name of the config>{suffix}]"),
        click.option("--validation-split", help="Override validation_split, such as test for a plain image folder."),
        click.option("--epochs", "num_epochs", type=int, help="Override num_epochs."),
        click.option("--tensorboard/--no-tensorboard", default=True, help="Write OUT/tensorboard.  [default: yes]"),
        device,
    )):  # fmt: skip
        command = option(command)
    return command


_FILES = ("data_path", "ferplus", "twin_rows", "exclude")


def split_training_flags(flags: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return (overrides of the config that the user gave, arguments of `load_training_faces`)."""
    overrides = {name: value for name, value in flags.items() if name not in _FILES and value is not None}
    return overrides, {name: flags[name] for name in _FILES}


@contextlib.contextmanager
def resume_hint(out: Path, how: str) -> Iterator[None]:
    """Where a run is stopped by a signal, say last what is kept and how to go on."""
    try:
        yield
    except Stopped:
        saved = any(out.rglob("last.pt"))
        if is_first_process():
            kept = f"{how}: finished epochs are in {out}" if saved else "no epoch was finished: start it again"
            click.echo(f"{signals.message()}; {kept}", err=True)
        sys.exit(signals.exit_code())
