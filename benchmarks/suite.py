"""Run the benchmarks that this machine can run, and print the README's table from what they measured.

    python benchmarks/suite.py --quick                       # make bench: 5 to 10 minutes on two cores
    python benchmarks/suite.py --data fer2013.csv --ferplus fer2013new.csv       # make bench-full

What a machine lacks is skipped, with the reason. A benchmark that fails is named at the end, and the others run. Ctrl-C
ends the run; every benchmark that is done has its result file, and --from goes on. Pause other work first: what this
project runs beside is named.
"""

import importlib.util
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click
import torch
from harness.clips import ROOT, UNPUBLISHED, shared_clips
from harness.measuring import command_as_typed, shared_yunet
from harness.results import known_seconds, machine_name, publish_option
from live.triton_server import SERVER_FILES, is_installed
from running.programs import Stopped, run_program, stopped_by_signals

from fer_deploy.bench.machine.host import background_work

CHECKPOINT = ROOT / "weights" / "senet-ferplus.safetensors"
BUNDLED_INT8 = ROOT / "fer_deploy" / "models" / "senet-ferplus-int8-cpu.onnx"
EXPORTED = ROOT / "artifacts" / "benchmarks" / "exported"
"""ONNX files of the checkpoint, made once for each version of it."""
ARCHIVE_MINUTES = 4
"""Of the archive's video, which is analyzed in seven ways; ten times as long by default."""
_there = click.Path(path_type=Path, exists=True, resolve_path=True)


@dataclass(frozen=True)
class Step:
    """One benchmark: its program and options, or the reason why it is skipped or cannot run."""

    name: str
    words: tuple[str | Path, ...]
    skipped: str = ""
    failed: str = ""

    @property
    def known_s(self) -> float | None:
        """How long it took the last time, with these options; None: not known."""
        command = command_as_typed([f"{self.name}.py", *map(str, self.words)])
        return known_seconds(command, self.name, machine_name(torch.device("cpu")))


@dataclass(frozen=True)
class Given:
    """What the machine has.

    Attributes:
        exported: folder of the checkpoint's ONNX files.
        why_not_exported: why the export failed; empty: it did not.
        data, ferplus: FER2013 and FER+'s votes; None: not here.
        clips: of people; (): each benchmark finds its own.
        videos: folder of agreement.py's videos; None: not here.
        rivals: Pythons that have other projects.
    """

    exported: Path
    why_not_exported: str = ""
    data: Path | None = None
    ferplus: Path | None = None
    clips: Sequence[Path] = ()
    videos: Path | None = None
    rivals: Sequence[Path] = ()

    @property
    def faces(self) -> tuple[str | Path, ...]:
        """Options that name the labelled faces."""
        votes = ("--ferplus", self.ferplus) if self.ferplus else ()
        return () if self.data is None else ("--data", self.data, *votes)

    @property
    def each_clip(self) -> tuple[str | Path, ...]:
        """Options that name the clips."""
        return _each("--clip", self.clips)


def steps(given: Given, *, quick: bool) -> Iterator[Step]:
    """Yield the benchmarks in the order in which a reader asks: speed, accuracy, the loop, the rest.

    In the full form every script of this folder is among them.
    """
    clips, model = given.each_clip, ("--checkpoint", CHECKPOINT, "--artifacts", given.exported)
    model = (*model, "--artifacts", BUNDLED_INT8)
    no_data = "" if given.data else "no --data: FER2013 is not part of this repository"
    no_votes = no_data or ("" if given.ferplus else "no --ferplus: FER+'s votes are not part of this repository")
    no_yunet = _why_no_yunet()
    failed = given.why_not_exported
    yield Step("latency", (*model, *(("--quick", "--no-compile") if quick else ())), "", failed)
    yield Step("accuracy", (*model, *given.faces), no_data, failed)
    look = ("--rounds", 1, "--frames", 300, "--tutorial-frames", 40) if quick else ()
    yield Step("fps", (*clips, *look), no_yunet)
    if quick:
        return
    yield Step("startup", clips[:2], no_yunet)
    yield Step("runtimes", (), no_yunet or _why_no_package("openvino"))
    yield Step("cameras", clips, no_yunet)
    yield Step("detectors", clips, no_yunet)
    yield Step("outputs", clips)
    yield Step("training", ())
    yield Step("install", ())
    yield Step("soak", ())
    yield Step("tracking", (*clips, *(() if no_votes else given.faces)), no_yunet)
    yield Step("analyze", clips, no_yunet)
    yield Step("archive_scaling", (*clips, "--minutes", ARCHIVE_MINUTES), no_yunet or _why_no_package("ray"))
    people = clips or _each("--clip", shared_clips())  # these three look for none themselves
    yield Step("crop_margin", (*given.faces, *people), no_data or no_yunet)
    yield Step("quality", (*given.faces, *people), no_votes or no_yunet)
    yield Step("baseline", (*given.faces, *people), no_votes or no_yunet)
    no_videos = "" if given.videos else "no --videos: the top of agreement.py says where they are"
    yield Step("agreement", ("--videos", given.videos or ""), no_videos or no_yunet)
    yield Step("cameras_on_triton", clips, no_yunet or _why_no_triton("cameras_on_triton"))
    yield Step("shared_memory", (), _why_no_triton("shared_memory"))
    yield Step("rivals", (*clips, *_each("--rival-python", given.rivals), *given.faces), no_yunet)


def _each(option: str, values: Sequence[Path]) -> tuple[str | Path, ...]:
    return tuple(word for value in values for word in (option, value))


def _why_no_yunet() -> str:
    try:
        shared_yunet()
    except click.UsageError as err:
        return err.message
    return ""


def _why_no_package(name: str) -> str:
    return "" if importlib.util.find_spec(name) else f"no package {name}"


def _why_no_triton(name: str) -> str:
    if reason := _why_no_package("tritonclient"):
        return reason
    return "" if is_installed(SERVER_FILES) else f"no Triton server. Fix: python benchmarks/{name}.py installs one"


def why_not_exported(checkpoint: Path, folder: Path) -> str:
    """Export FP32 and FP16 ONNX of a checkpoint unless this was done; INT8 is the bundled file.

    Returns:
        Why there are none; empty: there are.
    """
    report = folder / "report.json"
    if report.exists() and report.stat().st_mtime >= checkpoint.stat().st_mtime:
        return ""
    click.echo(f"exporting {checkpoint.name} ...")
    code = run_program(["-m", "fer_deploy", "export", "--checkpoint", checkpoint, "--out", folder], quiet=True)
    return f"the export ended with exit code {code}, its error is above" if code else ""


def run(step: Step, more: Sequence[str | Path]) -> str | None:
    """Run a benchmark and return None, or why there is no result."""
    if step.skipped:
        return f"skipped: {step.skipped}"
    if step.failed:
        return f"failed: {step.failed}"
    code = run_program([Path(__file__).with_name(f"{step.name}.py"), *step.words, *more])
    return f"failed: exit code {code}, its error is above" if code else None


def results_options(step: Step, *, publish: bool, compare: Path | None) -> tuple[str | Path, ...]:
    """Return the options of a step's results; the earlier run is compared where it has this benchmark."""
    has_earlier = compare is not None and (compare / f"{step.name}.json").is_file()
    return (*(("--publish",) if publish else ()), *(("--compare", compare) if compare and has_earlier else ()))


def time_left(todo: Sequence[Step]) -> str:
    """Return how long steps take, as far as earlier runs tell it."""
    known = [step.known_s for step in todo if not step.skipped and not step.failed]
    told = [seconds for seconds in known if seconds is not None]
    minutes = [f"about {max(1, round(sum(told) / 60))} min"] if told else []
    unknown = [f"{len(known) - len(told)} whose time is not known"] if len(told) < len(known) else []
    return " and ".join([*minutes, *unknown])


def run_all(todo: Sequence[Step], notes: list[str], *, publish: bool, compare: Path | None) -> None:
    """Run the steps, say how far the run is, and note how each one ended.

    Raises:
        Stopped: a signal came; the notes name what did not run.
    """
    for number, step in enumerate(todo):
        left = time_left(todo[number:])
        click.echo(f"== {number + 1} of {len(todo)}: {step.name}{f' (from here to the end: {left})' if left else ''}")
        started = time.monotonic()
        try:
            reason = run(step, results_options(step, publish=publish, compare=compare))
        except Stopped:
            notes.append(f"{step.name}: stopped, no result")
            notes += [f"{later.name}: not run" for later in todo[number + 1 :]]
            raise
        notes.append(f"{step.name}: {reason or f'{time.monotonic() - started:.0f} s'}")
        click.echo(notes[-1])


def from_step(todo: Sequence[Step], name: str | None) -> list[Step]:
    """Return the steps from one on; None: all.

    Raises:
        click.UsageError: there is no such step.
    """
    names = [step.name for step in todo]
    if name is not None and name not in names:
        raise click.UsageError(f"--from {name}: no such benchmark in this form. Fix: one of {', '.join(names)}")
    return list(todo[names.index(name) if name else 0 :])


@click.command()
@click.option("--quick", is_flag=True, help="A look: short windows, and only what the README shows.")
@click.option("--data", type=_there, help="FER2013, for accuracy and all that needs labelled faces.")
@click.option("--ferplus", type=_there, help="fer2013new.csv, the same.")
@click.option("--clip", "clips", type=_there, multiple=True, help="Of people, for what shows clips; repeatable.")
@click.option("--videos", type=_there, help="Folder of the videos of agreement.py.")
@click.option(
    "--rival-python",
    "rivals",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    multiple=True,
    help="A Python that has other projects, for rivals.py; repeatable.",
)
@click.option("--from", "first", metavar="NAME", help="Begin with this benchmark, to go on after Ctrl-C.")
@click.option(
    "--compare",
    type=click.Path(path_type=Path, exists=True, file_okay=False, resolve_path=True),
    help="Folder of an earlier run: each benchmark tells what changed beyond the noise.",
)
@publish_option
def main(
    quick: bool, rivals: tuple[Path, ...], first: str | None, compare: Path | None, publish: bool, **files: Any
) -> None:
    """Run the benchmarks and print the README's table."""
    pythons = [python.absolute() for python in rivals]  # not resolved: a link names its environment
    given = Given(EXPORTED, rivals=pythons, **files)
    todo = from_step(list(steps(given, quick=quick)), first)
    for work in background_work():
        click.echo(f"beside this run: {work.command}; {work.advice}", err=True)
    notes: list[str] = []
    stopped = 0
    try:
        with stopped_by_signals():
            if any(EXPORTED in step.words and not step.skipped for step in todo):
                given = replace(given, why_not_exported=why_not_exported(CHECKPOINT, EXPORTED))
            run_all(from_step(list(steps(given, quick=quick)), todo[0].name), notes, publish=publish, compare=compare)
    except Stopped as err:
        stopped = err.number
    run_program([ROOT / "docs" / "tools" / "numbers_of_readme.py", "--table", UNPUBLISHED])
    click.echo("\n".join(["", *notes, f"results: {UNPUBLISHED}"]))
    if stopped:
        at = next((note.partition(":")[0] for note in notes if note.endswith(": stopped, no result")), todo[0].name)
        click.echo(f"stopped; to go on, give the same command with --from {at}, or make with FROM={at}", err=True)
        raise SystemExit(128 + stopped)
    if any(": failed: " in note for note in notes):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
