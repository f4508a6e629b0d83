"""Train every run of a plan, ensemble the best, distill students from the ensemble; a table of all runs at the end.

Every run is a `fer-train` command in a process of its own. A stage whose output is there is not done again, so that the
same command goes on where it was stopped; `--minutes` stops it in good order (SIGTERM; each run keeps its finished
epochs). A run that fails does not stop the others; the sweep then ends with 1. The table, which names what was left
out, is written to OUT/sweep.{md,json}; with `--publish` also to benchmarks/results.

    python benchmarks/sweep.py --plan configs/sweep/tiny.yaml --data data/fer2013.csv --out runs/sweep-tiny
"""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import yaml
from _harness import environment, result_path, write_results
from rich.console import Console

from fer_train.amp import resolve_device
from fer_train.checkpoint import read_spec_json

FER_TRAIN = (sys.executable, "-m", "fer_train")
_console = Console()


@dataclass(frozen=True)
class Trial:
    """One training run of the plan."""

    name: str
    seed: int
    config: Path
    out: Path

    @property
    def release(self) -> Path:
        """Where its weights go."""
        return self.out / "release.safetensors"


@dataclass(frozen=True)
class Sweep:
    """The plan, where it writes, and until when it may work."""

    plan: dict[str, Any]
    out: Path
    data: str
    data_flags: tuple[str, ...]
    release_flags: tuple[str, ...]
    deadline: float

    def trials(self, part: str) -> list[Trial]:
        """Return the runs of "singles" or "students", with their resolved configs written to disk."""
        found = []
        for entry in self.plan[part]:
            base = yaml.safe_load(Path(entry["config"]).read_text())
            name = entry.get("name", Path(entry["config"]).stem)
            settings = base | entry.get("set", {})
            if part == "students":
                settings["distillation"] = settings["distillation"] | {"teachers": [str(self.ensemble)]}
            for seed in entry["seeds"]:
                folder = self.out / f"{name}-{seed}"
                folder.mkdir(parents=True, exist_ok=True)
                config = self.out / f"{name}-{seed}.yaml"
                config.write_text(yaml.safe_dump(settings | {"seed": seed}, sort_keys=False))
                found.append(Trial(name, seed, config, folder))
        return found

    @property
    def ensemble(self) -> Path:
        """Where the ensemble goes."""
        return self.out / "ensemble.json"

    def run_all(self, trials: list[Trial]) -> list[Trial]:
        """Train and release the trials, `jobs` at a time, until the deadline; return those that failed.

        However it ends, no process of it goes on.
        """
        waiting = [t for t in trials if not t.release.exists()]
        running: dict[Trial, subprocess.Popen[bytes]] = {}
        failed: list[Trial] = []
        try:
            while (waiting or running) and time.monotonic() < self.deadline:
                while waiting and len(running) < self.plan["jobs"]:
                    trial = waiting.pop(0)
                    running[trial] = self._start(trial)
                time.sleep(0.5)
                ended = [t for t, process in running.items() if process.poll() is not None]
                failed += [t for t in ended if not self._finish(t, running.pop(t).returncode)]
        finally:
            _stop(running)
        return failed

    def _start(self, trial: Trial) -> subprocess.Popen[bytes]:
        _console.print(f"training {trial.name}, seed {trial.seed}; log: {trial.out / 'log.txt'}")
        resume = ["--resume"] if (trial.out / "last.pt").exists() else []
        flags = ["--config", str(trial.config), *self.data_flags, "--out", str(trial.out), *resume]
        with (trial.out / "log.txt").open("ab") as log:
            return subprocess.Popen([*FER_TRAIN, "train", *flags], stdout=log, stderr=log)

    def _finish(self, trial: Trial, code: int) -> bool:
        if code:
            tail = (trial.out / "log.txt").read_text(errors="replace").splitlines()[-5:]
            text = "\n".join([f"{trial.name}, seed {trial.seed} ended with {code}:", *tail])
            _console.print(text, markup=False)
            return False
        return self._command(
            "release", "--checkpoint", str(trial.out / "final.safetensors"), *self.release_flags, "--recalibrate",
            "--out", str(trial.release),
        )  # fmt: skip

    def _command(self, *arguments: str) -> bool:
        """Run fer-train, whose errors go to the terminal; return whether it succeeded."""
        return subprocess.run([*FER_TRAIN, *arguments], check=False, stdout=subprocess.DEVNULL).returncode == 0

    def make_ensemble(self, trials: list[Trial]) -> bool:
        """Choose the best released singles on PublicTest (flip) and their weights; return whether an ensemble is there.

        Two are needed at least.
        """
        released = [t for t in trials if t.release.exists()]
        if self.ensemble.exists() or len(released) < 2:
            return self.ensemble.exists()
        best = sorted(released, key=lambda t: -_metrics(t)["flip"]["accuracy"])[: self.plan["ensemble"]["size"]]
        members = [flag for t in best for flag in ("--checkpoint", str(t.release))]
        return self._command("ensemble", *members, "--data", self.data, "--flip", "--out", str(self.ensemble))

    def work(self) -> list[Trial]:
        """Do what is left of the plan until the deadline; return the runs that failed."""
        singles = self.trials("singles")
        failed = self.run_all(singles)
        if all(t.release.exists() or t in failed for t in singles) and self.make_ensemble(singles):
            failed += self.run_all(self.trials("students"))
        return failed

    def left_out(self) -> list[str]:
        """Return what of the plan is not done, in words."""
        ensemble = [] if self.ensemble.exists() else ["the ensemble"]
        unfinished = {
            part: [f"{t.name}-{t.seed}" for t in self.trials(part) if not t.release.exists()]
            for part in ("singles", "students")
        }
        return [*unfinished["singles"], *ensemble, *unfinished["students"]]

    def table(self) -> list[dict[str, Any]]:
        """Return a row for each finished run."""
        students = self.trials("students") if self.ensemble.exists() else []
        rows = []
        for trial in [*self.trials("singles"), *students]:
            if trial.release.exists():
                history = json.loads((trial.out / "history.json").read_text())
                measured = _metrics(trial)
                rows.append({
                    "run": trial.name, "seed": trial.seed, "epochs": len(history),
                    "minutes": sum(row["seconds"] for row in history) / 60,
                    "plain": measured["plain"]["accuracy"], "flip": measured["flip"]["accuracy"],
                    "f1": measured["plain"]["f1"],
                })  # fmt: skip
        return rows


def _stop(running: dict[Trial, subprocess.Popen[bytes]]) -> None:
    """End the processes: asked to at first, killed after a minute. `last.pt` is whole either way."""
    for process in running.values():
        process.terminate()
    for process in running.values():
        try:
            process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def end_by_sigterm(*_: object) -> None:
    """Raise SystemExit, so that a sweep that is terminated takes its runs with it."""
    sys.exit(143)


def _metrics(trial: Trial) -> dict[str, Any]:
    measured: dict[str, Any] = json.loads(read_spec_json(trial.release))["metrics"]["PublicTest"]
    return measured


def as_markdown(
    rows: list[dict[str, Any]], env: dict[str, str], ensemble: dict[str, Any] | None, left_out: Sequence[str] = ()
) -> str:
    """Return the table of all runs, and what of the plan is not in it."""
    lines = [
        f"# All runs, {env['hardware']}", "",
        f"{env['date']}, Python {env['python']}", "",
        f"    {env['command']}", "",
        "| run | seed | epochs | minutes | PublicTest plain | flip | macro F1, plain |",
        "|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    lines += [
        f"| {r['run']} | {r['seed']} | {r['epochs']} | {r['minutes']:.1f} "
        f"| {r['plain']:.2%} | {r['flip']:.2%} | {r['f1']:.4f} |"
        for r in rows
    ]
    if ensemble is not None:
        lines += _ensemble_lines(ensemble)
    if left_out:
        lines += ["", f"Not done: {', '.join(left_out)}."]
    return "\n".join([*lines, ""])


def _ensemble_lines(ensemble: dict[str, Any]) -> list[str]:
    measured = ensemble["measured"]
    members = ", ".join(f"{Path(m['path']).parent.name} ({m['weight']:.2f})" for m in ensemble["members"])
    lines = ["", f"Ensemble: {members}", "", "| weights | PublicTest plain | flip |", "|---|---|---|"]
    for kind, note in measured["notes"].items():
        plain, flip = (measured["views"][view][kind]["accuracy"] for view in ("plain", "flip"))
        lines.append(f"| {note} | {plain:.2%} | {flip:.2%} |")
    return lines


@click.command()
@click.option("--plan", required=True, type=click.Path(path_type=Path, exists=True))
@click.option("--data", required=True)
@click.option("--ferplus", help="FER+ votes, where a run of the plan uses them.")
@click.option("--twin-rows")
@click.option("--out", default=Path("runs/sweep"), show_default=True, type=click.Path(path_type=Path))
@click.option("--publish", is_flag=True, help="Write the table to benchmarks/results, too.")
@click.option("--minutes", default=600.0, show_default=True, help="Stop in good order after so many.")
def main(plan: Path, data: str, ferplus: str | None, twin_rows: str | None, out: Path, publish: bool,
         minutes: float) -> None:  # fmt: skip
    """Work through the plan; call again to go on."""
    release_flags = ("--data", data, *(("--twin-rows", twin_rows) if twin_rows else ()))
    data_flags = (*release_flags, *(("--ferplus", ferplus) if ferplus else ()))
    deadline = time.monotonic() + minutes * 60
    sweep = Sweep(yaml.safe_load(plan.read_text()), out, data, data_flags, release_flags, deadline)
    failed, left_out = sweep.work(), sweep.left_out()
    device = resolve_device("auto")
    ensemble = json.loads(sweep.ensemble.read_text()) if sweep.ensemble.exists() else None
    rows = sweep.table()
    text = as_markdown(rows, environment(device), ensemble, left_out)
    for path in (out / "sweep.md", *((result_path("sweep", device),) if publish else ())):
        write_results(path, {**environment(device), "runs": rows, "ensemble": ensemble, "left_out": left_out}, text)
    _console.print(text, markup=False)
    if failed:
        names = ", ".join(f"{t.name}-{t.seed} ({t.out / 'log.txt'})" for t in failed)
        raise click.ClickException(f"failed: {names}. Fix: see the logs; the same command tries these again")
    why = "not all done" if time.monotonic() < deadline else "time is up"
    end = f"{why}; the same command goes on" if left_out else "all done"
    _console.print(f"{end}; table: {out / 'sweep.md'}")


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, end_by_sigterm)
    main()
