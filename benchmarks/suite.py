"""Run the benchmarks that this machine can run, and print the README's table from what they measured.

    python benchmarks/suite.py --quick                       # make bench: ten minutes on two cores
    python benchmarks/suite.py --data fer2013.csv --ferplus fer2013new.csv       # make bench-full

What a machine lacks is skipped, with the reason. Pause other work first: what this project runs beside is named.
"""

import importlib.util
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from harness.clips import ROOT, UNPUBLISHED, shared_clips
from harness.measuring import shared_yunet
from harness.results import publish_option
from live.triton_server import SERVER_FILES, is_installed

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
    """One benchmark: its program and options, or the reason why it is skipped."""

    name: str
    words: tuple[str | Path, ...]
    skipped: str = ""


@dataclass(frozen=True)
class Given:
    """What the machine has.

    Attributes:
        exported: folder of the checkpoint's ONNX files.
        data, ferplus: FER2013 and FER+'s votes; None: not here.
        clips: of people; (): each benchmark finds its own.
        videos: folder of agreement.py's videos; None: not here.
        rivals: Pythons that have other projects.
    """

    exported: Path
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
    yield Step("latency", (*model, *(("--quick", "--no-compile") if quick else ())))
    yield Step("accuracy", (*model, *given.faces), no_data)
    look = ("--rounds", 1, "--frames", 300, "--tutorial-frames", 40) if quick else ()
    yield Step("fps", (*clips, *look), no_yunet)
    if quick:
        return
    yield Step("startup", clips[:2], no_yunet)
    yield Step("cameras", clips, no_yunet)
    yield Step("detectors", clips, no_yunet)
    yield Step("outputs", clips)
    yield Step("training", ())
    yield Step("soak", ())
    yield Step("tracking", clips, no_yunet)
    yield Step("analyze", clips, no_yunet)
    yield Step("archive_scaling", (*clips, "--minutes", ARCHIVE_MINUTES), no_yunet or _why_no_package("ray"))
    people = clips or _each("--clip", shared_clips())  # these three look for none themselves
    yield Step("crop_margin", (*given.faces[:2], *people), no_data or no_yunet)
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


def export_once(checkpoint: Path, folder: Path) -> Path:
    """Export FP32 and FP16 ONNX of a checkpoint unless this was done; INT8 is the bundled file.

    Raises:
        click.ClickException: the export failed.
    """
    if not (folder / "report.json").exists() or (folder / "report.json").stat().st_mtime < checkpoint.stat().st_mtime:
        click.echo(f"exporting {checkpoint.name} ...")
        words = ["export", "--checkpoint", str(checkpoint), "--out", str(folder)]
        done = subprocess.run([sys.executable, "-m", "fer_deploy", *words], check=False, stdout=subprocess.DEVNULL)
        if done.returncode:
            raise click.ClickException(f"the export ended with exit code {done.returncode}; its error is above")
    return folder


def run(step: Step, *, publish: bool) -> str | None:
    """Run a benchmark and return None, or why there is no result."""
    if step.skipped:
        return f"skipped: {step.skipped}"
    program = [sys.executable, Path(__file__).with_name(f"{step.name}.py"), *step.words]
    done = subprocess.run([*map(str, program), *(["--publish"] if publish else [])], check=False, cwd=ROOT)
    return f"failed: exit code {done.returncode}, its error is above" if done.returncode else None


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
@publish_option
def main(quick: bool, rivals: tuple[Path, ...], publish: bool, **files: Any) -> None:
    """Run the benchmarks and print the README's table."""
    for work in background_work():
        click.echo(f"beside this run: {work.command}; {work.advice}", err=True)
    exported = export_once(CHECKPOINT, EXPORTED)
    pythons = [python.absolute() for python in rivals]  # not resolved: a link names its environment
    notes = []
    for step in steps(Given(exported, rivals=pythons, **files), quick=quick):
        started = time.monotonic()
        click.echo(f"== {step.name}")
        reason = run(step, publish=publish)
        notes.append(f"{step.name}: {reason or f'{time.monotonic() - started:.0f} s'}")
    table = [sys.executable, ROOT / "docs" / "tools" / "numbers_of_readme.py", "--table", UNPUBLISHED]
    subprocess.run([*map(str, table)], check=False)
    click.echo("\n".join(["", *notes, f"results: {UNPUBLISHED}"]))
    if any("failed: " in note for note in notes):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
