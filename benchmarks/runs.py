"""A table of training runs: config, seed, epochs, minutes, and what the released weights reach on PublicTest.

    python benchmarks/runs.py --run runs/senet --run runs/net --release weights/net.safetensors

`--run` is a folder of `fer-train train` with its `history.json` and with its release as `release.safetensors`, from
`fer-train release --out runs/senet/release.safetensors`. `--release` is weights whose folder is gone: its epochs are
those of its recipe, its minutes are unknown. Runs of an earlier table that are not named stay in it with `--add`.
"""

import json
from pathlib import Path
from typing import Any

import click
import torch
from _harness import environment, result_path, write_results

from fer_train.checkpoint import read_spec_json

_RELEASE = "release.safetensors"


def row_of_run(folder: Path) -> dict[str, Any]:
    """Return the row of a run's folder."""
    history = json.loads((folder / "history.json").read_text())
    row = _row_of_release(folder / _RELEASE)
    minutes = sum(epoch["seconds"] for epoch in history) / 60
    return row | {"run": folder.name, "epochs": len(history), "minutes": minutes}


def _row_of_release(path: Path) -> dict[str, Any]:
    """Return the row of released weights; epochs of the last step of its recipe."""
    spec = json.loads(read_spec_json(path))
    config, measured = spec["provenance"]["config"], spec["metrics"]["PublicTest"]
    return {
        "run": path.stem, "model": config["model"], "seed": config["seed"], "epochs": config["num_epochs"],
        "minutes": None, "start": "random" if config.get("init") is None else Path(config["init"]).name,
        "teachers": [Path(name).name for name in (config.get("distillation") or {}).get("teachers", [])],
        "ferplus_share": config.get("ferplus_share", 0.0),
        "plain": measured["plain"]["accuracy"], "flip": measured["flip"]["accuracy"], "f1": measured["plain"]["f1"],
    }  # fmt: skip


def _rows_in(path: Path) -> list[dict[str, Any]]:
    return list(json.loads(path.read_text())["runs"]) if path.exists() else []


def as_markdown(rows: list[dict[str, Any]], env: dict[str, str]) -> str:
    """Return the table for people, in the order in which the runs were named."""
    lines = [
        f"# Training runs, {env['hardware']}", "",
        f"{env['date']}, Python {env['python']}. PublicTest, official, of the released weights (batch norm measured "
        "anew, float16). One seed each: standard error 0.8 points.", "",
        f"    {env['command']}", "",
        "| run | model | start | teachers | FER+ | seed | epochs | minutes | plain | flip | macro F1 |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    for row in rows:
        minutes = "unknown" if row["minutes"] is None else f"{row['minutes']:.0f}"
        lines.append(
            f"| {row['run']} | {row['model']} | {row['start']} | {', '.join(row['teachers']) or 'none'} "
            f"| {row['ferplus_share']:g} | {row['seed']} | {row['epochs']} | {minutes} | {row['plain']:.2%} "
            f"| {row['flip']:.2%} | {row['f1']:.4f} |"
        )
    return "\n".join([*lines, "", "Minutes are of a machine that did other things as well.", ""])


@click.command()
@click.option("--run", "runs", multiple=True, type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--release", "releases", multiple=True, type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--add", is_flag=True, help="Keep the other runs of this month's table.")
def main(runs: tuple[Path, ...], releases: tuple[Path, ...], add: bool) -> None:
    """Write benchmarks/results/runs_<hardware>_<yyyy-mm>.md and .json."""
    for folder in runs:
        if not (folder / _RELEASE).exists():
            raise click.ClickException(
                f"{folder} has no {_RELEASE}. Fix: fer-train release --checkpoint {folder}/final.safetensors "
                f"--data fer2013.csv --recalibrate --out {folder / _RELEASE}"
            )
    rows = [*map(_row_of_release, releases), *map(row_of_run, runs)]
    device = torch.device("cpu")
    env = environment(device)
    path = result_path("runs", device)
    if add:
        named = {row["run"] for row in rows}
        rows = [row for row in _rows_in(path.with_suffix(".json")) if row["run"] not in named] + rows
    write_results(path, {**env, "runs": rows}, as_markdown(rows, env))
    click.echo(path.read_text())


if __name__ == "__main__":
    main()
