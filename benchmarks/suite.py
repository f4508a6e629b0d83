"""Run the benchmarks that this machine can run, and print the README's table from what they measured.

    python benchmarks/suite.py --quick                       # make bench: ten minutes on two cores
    python benchmarks/suite.py --data fer2013.csv --ferplus fer2013new.csv       # make bench-full

What a machine lacks is skipped, with the reason. Pause other work first: what this project runs beside is named.
"""

import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
from harness.clips import ROOT, UNPUBLISHED
from harness.measuring import shared_yunet
from harness.results import publish_option

from fer_deploy.bench.machine.host import background_work

CHECKPOINT = ROOT / "weights" / "senet-ferplus.safetensors"
BUNDLED_INT8 = ROOT / "fer_deploy" / "models" / "senet-ferplus-int8-cpu.onnx"
EXPORTED = ROOT / "artifacts" / "benchmarks" / "exported"
"""ONNX files of the checkpoint, made once for each version of it."""


@dataclass(frozen=True)
class Step:
    """One benchmark: its program and options, or the reason why it is skipped."""

    name: str
    words: tuple[str | Path, ...]
    skipped: str = ""


def steps(
    *, quick: bool, data: Path | None, ferplus: Path | None, exported: Path, rivals: Sequence[Path] = ()
) -> Iterator[Step]:
    """Yield the benchmarks in the order in which a reader asks: speed, accuracy, the loop, the rest."""
    each_python = tuple(word for python in rivals for word in ("--rival-python", python))
    model = ("--checkpoint", CHECKPOINT, "--artifacts", exported, "--artifacts", BUNDLED_INT8)
    yield Step("latency", (*model, *(("--quick", "--no-compile") if quick else ())))
    faces = () if data is None else ("--data", data, *(("--ferplus", ferplus) if ferplus else ()))
    yield Step("accuracy", (*model, *faces), "" if data else "no --data: FER2013 is not part of this repository")
    try:
        shared_yunet()
        no_yunet = ""
    except click.UsageError as err:
        no_yunet = err.message
    yield Step("fps", ("--rounds", 1, "--frames", 300, "--tutorial-frames", 40) if quick else (), no_yunet)
    if quick:
        return
    yield Step("startup", (), no_yunet)
    yield Step("cameras", (), no_yunet)
    yield Step("detectors", (), no_yunet)
    yield Step("outputs", ())
    yield Step("training", ())
    yield Step("soak", ())
    yield Step("tracking", (), no_yunet)
    yield Step("rivals", (*each_python, *faces), no_yunet)


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
@click.option("--data", type=click.Path(path_type=Path, exists=True, resolve_path=True), help="FER2013, for accuracy.")
@click.option(
    "--ferplus", type=click.Path(path_type=Path, exists=True, resolve_path=True), help="fer2013new.csv, for accuracy."
)
@click.option(
    "--rival-python",
    "rivals",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    multiple=True,
    help="A Python that has other projects, for rivals.py; repeatable.",
)
@publish_option
def main(quick: bool, data: Path | None, ferplus: Path | None, rivals: tuple[Path, ...], publish: bool) -> None:
    """Run the benchmarks and print the README's table."""
    for work in background_work():
        click.echo(f"beside this run: {work.command}; {work.advice}", err=True)
    exported = export_once(CHECKPOINT, EXPORTED)
    notes = []
    for step in steps(
        quick=quick,
        data=data,
        ferplus=ferplus,
        exported=exported,
        rivals=[python.absolute() for python in rivals],  # not resolved: a link names its environment
    ):
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
