"""fer-train release: fp16 weights, measured as they are in the file, with a model card beside them."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
import torch
from rich.console import Console
from rich.table import Table
from torch import nn

from fer_train import checkpoint
from fer_train.amp import resolve_device
from fer_train.cli import training_inputs
from fer_train.cli.display import progress_bar, remind_of_test_split
from fer_train.config import TEST_SPLIT, TrainConfig
from fer_train.config_file import config_from_dict
from fer_train.data import Faces, read_faces, take_split
from fer_train.data.faces import labels_in_words, own_label_set
from fer_train.data.splits import find_leaked
from fer_train.errors import CheckpointError, ConfigError
from fer_train.evaluation.evaluate import Evaluation
from fer_train.evaluation.plots import plot_degraded, write_plots
from fer_train.hardware import describe_hardware
from fer_train.release.card import WeightsFile, check_card_path, degraded_picture, write_card
from fer_train.release.choices import measure_choices
from fer_train.release.logit_adjustment import adjust_logits
from fer_train.release.measures import WITH_VOTES_ALONE, measure_release
from fer_train.release.recalibrate import recalibrate_on_faces
from fer_train.weights_file.spec import missing_origin

_OF_THE_RUN = "--checkpoint with final.safetensors of its run"


def release(
    checkpoint_path: Path,
    data_path: Path,
    splits: tuple[str, ...],
    ten_crop: bool,
    recalibrate: bool,
    logit_adjustment: float,
    fp32: bool,
    shows_choices: bool,
    out: Path | None,
    notes: Path | None,
    plots: Path | None,
    device: str | None,
    **lists: Path | None,
) -> None:
    """Write fp16 weights and their model card; see `fer_train.cli.flags.release` for the flags."""
    if shows_choices:
        given = {
            "--out": out,
            "--notes": notes,
            "--plots": plots,
            "--recalibrate": recalibrate,
            "--logit-adjustment": logit_adjustment,
            "--fp32": fp32,
            "--ten-crop": ten_crop,
            "a second --split": len(splits) > 1,
        }
        _require_alone([flag for flag, value in given.items() if value])
        _show_choices(checkpoint_path, data_path, splits[0], device=device, **lists)
        return
    out = _checked(out, checkpoint_path)
    card = out.with_suffix(".md")
    words = _read_notes(notes, card)
    target = resolve_device(device or "auto")
    model, spec = _load(checkpoint_path)
    ferplus = lists["ferplus"]
    training_inputs.require_votes_for(spec, checkpoint_path, ferplus)
    faces = read_faces(data_path, ferplus=ferplus)
    for split in splits:
        take_split(faces, split)  # an absent one is said before minutes of work
    if recalibrate and spec.get("quantization"):
        raise ConfigError(
            f"{checkpoint_path} was trained quantization-aware: new batch-norm statistics would not fit its activation "
            "ranges. Fix: leave --recalibrate out"
        )
    if logit_adjustment:
        _require_not_adjusted(spec, checkpoint_path)
    if logit_adjustment and spec.get("label_set") == "ferplus":
        raise ConfigError(
            f"{checkpoint_path} learned from FER+'s votes, and --logit-adjustment counts FER2013's labels. "
            "Fix: leave it out"
        )
    config = config_from_dict(spec["provenance"]["config"], where=str(checkpoint_path))
    if recalibrate:
        _recalibrate(model.to(target), _training_rows(config, spec, data_path, lists), spec)
    if logit_adjustment:
        training = take_split(faces, config.train_split)
        priors = adjust_logits(model, training.labels, logit_adjustment)
        spec["provenance"]["logit_adjustment"] = {"strength": logit_adjustment, "priors": priors}
    if not fp32:
        model = _rounded_to_half(model, checkpoint_path)
    measured, found = measure_release(
        model.to(target), faces, splits, spec=spec, ten_crop=ten_crop, progress=progress_bar
    )
    spec |= found.spec
    for name in WITH_VOTES_ALONE:  # of an earlier release, whose weights or data may have been others
        spec["provenance"].pop(name, None)
    spec["provenance"] |= found.provenance | _seen_here(faces, spec["provenance"], target)
    dtype = torch.float32 if fp32 else torch.float16
    checkpoint.save_release(out, model, spec, dtype)
    num_parameters = sum(parameter.numel() for parameter in model.parameters())
    weights = WeightsFile(out.name, num_parameters, out.stat().st_size, str(dtype).removeprefix("torch."))
    title = f"{out.name} on {splits[0]}, {measured[0].in_words}, plain"
    plot_degraded(found.provenance["degraded"]["rows"], degraded_picture(card), title=title)
    write_card(card, spec, weights, notes=words)
    for evaluation in measured:
        if plots is not None:
            write_plots(evaluation, plots, model=out.name)
        click.echo(f"{out}: {_in_words(evaluation)}")
        remind_of_test_split(evaluation.split)
    click.echo(f"{out}: {weights.num_bytes / 1e6:.2f} MB, {weights.dtype}; model card: {card}")


def _checked(out: Path | None, checkpoint_path: Path) -> Path:
    """Return the file to write, unless it would overwrite what it must not."""
    if out is None:
        raise ConfigError("--out is missing. Fix: --out NAME.safetensors; or --choices, which writes nothing")
    check_card_path(out.with_suffix(".md"), out)
    if out.resolve() == checkpoint_path.resolve():
        raise ConfigError(f"--out {out} is the checkpoint itself and would be overwritten. Fix: another file")
    return out


def _load(path: Path) -> tuple[nn.Module, dict[str, Any]]:
    """Load a checkpoint that says how it was trained."""
    model, spec = checkpoint.load_release(path)
    if absent := missing_origin(spec):
        raise CheckpointError(
            f"{path} does not say how it was trained ({', '.join(absent)} absent), so no model card can be "
            "written. Fix: a checkpoint of fer-train train, soup or release"
        )
    return model, spec


def _require_alone(without_use: list[str]) -> None:
    if without_use:
        raise ConfigError(
            f"--choices writes nothing, and has no use for {', '.join(without_use)}. Fix: leave one or the other out"
        )


def _require_not_adjusted(spec: dict[str, Any], path: Path) -> None:
    """Check that no logits were adjusted: a second adjustment would add to the first."""
    if adjusted := spec["provenance"].get("logit_adjustment"):
        raise ConfigError(f"the logits of {path} are adjusted by {adjusted['strength']:g} already. Fix: {_OF_THE_RUN}")


def _show_choices(path: Path, data_path: Path, split: str, *, device: str | None, **lists: Path | None) -> None:
    """Print the accuracy of each way to release a checkpoint; see `measure_choices`."""
    if split == TEST_SPLIT:
        raise ConfigError(f"{TEST_SPLIT} chooses nothing: it is for one final measurement. Fix: another --split")
    model, spec = _load(path)
    _require_not_adjusted(spec, path)
    if spec["provenance"].get("recalibrated_on"):
        raise ConfigError(f"{path} is recalibrated already. Fix: {_OF_THE_RUN}")
    training_inputs.require_votes_for(spec, path, lists["ferplus"])
    faces = read_faces(data_path, ferplus=lists["ferplus"])
    take_split(faces, split)
    config = config_from_dict(spec["provenance"]["config"], where=str(path))
    if split == config.train_split:
        raise ConfigError(f"the model was trained on {split}, which chooses nothing. Fix: --split with another one")
    training = _training_rows(config, spec, data_path, lists)
    table = Table(title=f"{split}, {labels_in_words(own_label_set(spec), spec['labels'])}, in single precision")
    for column in ("--recalibrate", "--logit-adjustment", "plain", "macro F1", "flip", "flip F1"):
        table.add_column(column, justify="right")
    found = measure_choices(
        model.to(resolve_device(device or "auto")), training, faces, split, spec=spec, progress=progress_bar
    )
    for choice in found:
        by_view = [(f"{view.accuracy:.2%}", f"{view.f1:.4f}") for view in (choice.plain, choice.flip)]
        cells = (cell for of_view in by_view for cell in of_view)
        table.add_row("yes" if choice.is_recalibrated else "no", f"{choice.strength:g}", *cells)
    Console().print(table)
    click.echo(f"What {split} chooses looks a little too good on {split}.")


def _training_rows(config: TrainConfig, spec: dict[str, Any], data_path: Path, lists: dict[str, Path | None]) -> Faces:
    """Return the rows that a model was trained on."""
    had_votes = config.needs_votes or "ferplus_sha256" in spec["provenance"]
    kept = training_inputs.load_training_faces(
        config,
        data_path,
        ferplus=lists["ferplus"] if had_votes else None,
        twin_rows=lists["twin_rows"],
        exclude=lists["exclude"],
    )
    return take_split(kept, config.train_split)


def _read_notes(notes: Path | None, card: Path) -> str:
    if notes is None:
        return ""
    if notes.resolve() == card.resolve():
        raise ConfigError(f"--notes {notes} is the model card itself and would be overwritten. Fix: another file")
    try:
        return notes.read_text()
    except (OSError, UnicodeDecodeError) as err:
        raise ConfigError(f"cannot read --notes {notes}: {err}. Fix: a text file, UTF-8, or no --notes") from err


def _recalibrate(model: nn.Module, training: Faces, spec: dict[str, Any]) -> None:
    with progress_bar("batch-norm statistics") as on_batch:
        recalibrate_on_faces(model, training, spec=spec, on_batch=on_batch)
    spec["provenance"]["recalibrated_on"] = len(training)
    spec["provenance"]["recalibrated_row_lists"] = [asdict(row_list) for row_list in training.row_lists]


def _rounded_to_half(model: nn.Module, path: Path) -> nn.Module:
    """Return the model, float32, with the values that a file of fp16 holds.

    Raises:
        CheckpointError: a value that is too large for fp16, or is no number to begin with.
    """
    for name, value in model.state_dict().items():
        if not value.is_floating_point():
            continue
        if not bool(torch.isfinite(value).all()):
            raise CheckpointError(f"{path}: {name} holds values that are not finite. Fix: train the model again")
        if not bool(torch.isfinite(value.half()).all()):
            raise CheckpointError(
                f"{path}: {name} reaches {value.abs().max():.3g}, fp16 ends at {torch.finfo(torch.float16).max:,.0f}. "
                "Fix: --fp32"
            )
    return model.half().float()


def _seen_here(faces: Faces, provenance: dict[str, Any], device: torch.device) -> dict[str, Any]:
    """Return what release adds to the provenance: the machine; rows and twins, where the data are those of the run."""
    seen: dict[str, Any] = {"measured_on": describe_hardware(device)}
    if faces.source_sha256 == provenance["data_sha256"]:
        config = provenance["config"]
        is_clean = config["protocol"] == "clean"
        seen["data_rows"] = faces.counts()
        seen["num_twins"] = int(find_leaked(faces, config["train_split"]).sum()) if is_clean else 0
    return seen


def _in_words(evaluation: Evaluation) -> str:
    parts = [
        f"{metrics.accuracy:.2%} {view} {protocol}"
        for view, by_protocol in evaluation.metrics.items()
        for protocol, metrics in by_protocol.items()
        if metrics is not None
    ]
    return f"{evaluation.split}, {evaluation.in_words}: accuracy {', '.join(parts)}"
