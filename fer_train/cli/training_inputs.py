"""Convert the flags of the training commands to a config, faces and a folder."""

import contextlib
import logging
import shlex
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import numpy as np

from fer_train import signals
from fer_train.config import TrainConfig
from fer_train.config_file import load_config
from fer_train.data import Faces, apply_protocol, read_faces
from fer_train.data.consensus import relabel_by_votes
from fer_train.data.faces import RowList, own_label_set
from fer_train.data.readers.cache import file_sha256
from fer_train.data.readers.row_list import ListedRows, check_rows, read_row_list
from fer_train.data.splits import few_faces
from fer_train.distributed import is_first_process
from fer_train.errors import ConfigError, DataError
from fer_train.signals import Stopped
from fer_train.training.run import require_weights

QUICK = {
    "num_epochs": 1,
    "image_size": 32,
    "size_phases": [],
    "batch_size": 64,
    "compile": False,
}
"""What --quick overrides; flags that the user gives beside it win."""
_QUICK_FACES = 512, 256
"""To train on and to validate on."""


def load_training_faces(
    config: TrainConfig,
    data_path: Path,
    *,
    ferplus: Path | None = None,
    twin_rows: Path | None = None,
    exclude: Path | None = None,
    quick: bool = False,
) -> Faces:
    """Read the faces and apply the config's protocol and the user's exclusions, whose files `row_lists` names.

    With `quick` a few hundred of them are left.

    Raises:
        DataError: a file that cannot be used.
    """
    if twin_rows is not None and config.protocol != "clean":
        logging.warning("--twin-rows is not used: the protocol is %s. --exclude holds under both", config.protocol)
        twin_rows = None
    if ferplus is not None and not config.ferplus_share and config.labels != "ferplus":
        logging.warning("--ferplus is not used: ferplus_share is 0. To learn from the votes: ferplus_share: 0.5")
        ferplus = None
    if ferplus is None and config.labels == "ferplus" and config.needs_votes:
        raise ConfigError(
            "labels: ferplus learns from the votes of FER+'s taggers, and none were given. Fix: --ferplus "
            "fer2013new.csv (github.com/microsoft/FERPlus), or learn from teachers alone: --config "
            "configs/train/senet-ferplus-taught.yaml, or fer-train distill with --teacher-weight 1"
        )
    faces = read_faces(data_path, ferplus=ferplus)
    given = {"--twin-rows": twin_rows, "--exclude": exclude}
    lists = {flag: read_row_list(path) for flag, path in given.items() if path is not None}
    for flag, listed in lists.items():
        _check_list(flag, listed, faces, config)
    twins, excluded = (lists[flag].rows if flag in lists else None for flag in given)
    kept = apply_protocol(faces, config.protocol, config.train_split, twins, exclude_rows=excluded)
    if config.labels == "ferplus" and kept.votes is not None:
        kept = _relabelled(kept, config)
    logging.info("%s protocol leaves out %d rows: %s", config.protocol, len(faces) - len(kept), kept.counts())
    training_rows = faces.rows[faces.splits == config.train_split]
    if quick:
        kept = few_faces(kept, dict(zip((config.train_split, config.validation_split), _QUICK_FACES, strict=True)))
        logging.info("--quick keeps %s: it shows that all parts run; the model is of no use", kept.counts())
    return replace(
        kept,
        row_lists=tuple(
            RowList(flag, listed.path.name, file_sha256(listed.path), int(np.isin(training_rows, listed.rows).sum()))
            for flag, listed in lists.items()
        ),
    )


def _relabelled(faces: Faces, config: TrainConfig) -> Faces:
    """Return the faces with FER+'s labels; refuse votes that leave nothing of a split that the run needs."""
    kept = relabel_by_votes(faces, train_split=config.train_split)
    before, after = faces.counts(), kept.counts()
    for split, wanted in ((config.train_split, "for an emotion"), (config.validation_split, "with a majority")):
        if split in before and split not in after:
            raise DataError(
                f"none of the {before[split]:,} faces of {split} has votes {wanted}. Fix: --ferplus with the votes of "
                "this data, or another validation_split"
            )
    return kept


def require_votes_for(spec: dict[str, Any], checkpoint: Path, ferplus: Path | None) -> None:
    """Refuse to measure a model of FER+'s labels without the votes.

    Raises:
        ConfigError: as said.
    """
    if own_label_set(spec) == "ferplus" and ferplus is None:
        raise ConfigError(
            f"{checkpoint} answers as FER+'s taggers do and is measured against them. "
            "Fix: --ferplus fer2013new.csv (github.com/microsoft/FERPlus)"
        )


def _check_list(flag: str, listed: ListedRows, faces: Faces, config: TrainConfig) -> None:
    """Refuse a list that names no training row or all of them, or was made for other data; see `check_rows`."""
    training_rows = faces.rows[faces.splits == config.train_split]
    if not len(listed.rows) or not len(training_rows) or (faces.rows < 0).any():
        return
    named = int(np.isin(training_rows, listed.rows).sum())
    if named in (0, len(training_rows)):
        raise DataError(
            f"{flag} {listed.path} names {'none' if named == 0 else 'all'} of the {len(training_rows):,} rows of "
            f"{config.train_split}. Fix: the list that was made for this --data, or leave {flag} out"
        )
    check_rows(listed, faces, flag=flag)
    others = int(np.isin(faces.rows[faces.splits != config.train_split], listed.rows).sum())
    if others:
        logging.info("%s names %d rows that are not of %s; they stay", flag, others, config.train_split)


_OF_THE_FACES = ("data_path", "ferplus", "twin_rows", "exclude", "quick")


def split_training_flags(flags: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return (overrides of the config that the user gave, arguments of `load_training_faces`)."""
    given = {name: value for name, value in flags.items() if name not in _OF_THE_FACES and value is not None}
    overrides = (QUICK if flags["quick"] else {}) | given
    return overrides, {name: flags[name] for name in _OF_THE_FACES}


def config_of(config_path: Path, overrides: dict[str, Any]) -> TrainConfig:
    """Return the config with the flags of the command that runs.

    Raises:
        ConfigError: as `load_config`; a value that was given as a flag is named by its flag.
    """
    params = click.get_current_context().command.params
    return load_config(config_path, overrides, flags={str(param.name): param.opts[-1] for param in params})


def require_weights_of(
    config: TrainConfig, out: Path | None, config_path: Path, *, quick: bool, suffix: str = ""
) -> None:
    """Load the weights that the run needs, before its data; one in its folder that goes on needs less.

    Args:
        config: settings of the run.
        out: as for `run_folder`, like those below.
        config_path: file of the config.
        quick: whether it is a trial.
        suffix: of the folder's name.

    Raises:
        ConfigError: a file stands in a folder above the config, and not here.
        FerTrainError: as `require_weights`.
    """
    folder = _lasting_folder(out, config_path, quick=quick, suffix=suffix)
    fresh = folder is None or not any(folder.rglob("last.pt"))
    teachers = config.distillation.teachers if config.distillation else ()
    for name in filter(None, (config.init if fresh else None, *teachers)):
        _require_here(Path(name), config_path)
    require_weights(config, fresh=fresh)


def _require_here(file: Path, config_path: Path) -> None:
    """Tell where a file of a shipped config is, when the command runs in another folder."""
    if file.exists():
        return
    for folder in config_path.resolve().parents:
        if (folder / file).exists():
            raise ConfigError(
                f"no {file} in {Path.cwd()}; {folder} has it. Fix: cd {shlex.quote(str(folder))}, and the same command "
                "there, with paths that fit"
            )


def run_folder(out: Path | None, config_path: Path, *, quick: bool, suffix: str = "") -> Path:
    """Return the folder of a run: --out, or the default that the help of --out and --quick describes.

    A trial's new folder is made here: call this when nothing of the input can be wrong any more.
    """
    folder = _lasting_folder(out, config_path, quick=quick, suffix=suffix)
    return folder or Path(tempfile.mkdtemp(prefix=f"fer-train-{config_path.stem}{suffix}-"))


def _lasting_folder(out: Path | None, config_path: Path, *, quick: bool, suffix: str) -> Path | None:
    """Return the folder of a run, or None for a trial that gets a new one."""
    if out is None and quick:
        return None
    return out or Path("runs") / f"{config_path.stem}{suffix}"


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
