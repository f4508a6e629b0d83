"""Write the numbers of README.md from benchmarks/results/*.json and the model cards.

    python docs/tools/numbers_of_readme.py            # write them
    python docs/tools/numbers_of_readme.py --check    # exit code 1 where the README differs

A number is between `<!-- numbers: NAME -->` and `<!-- /numbers -->`. What was not measured is a dash.
"""

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parents[2]
README = REPOSITORY / "README.md"
RESULTS = REPOSITORY / "benchmarks" / "results"
MODELS = ("senet-ferplus", "senet")
"""The table is about the first of these whose latency was measured."""
FORMS = {
    "PyTorch": ".safetensors", "ONNX, FP32": "-fp32.onnx", "ONNX, FP16": "-fp16.onnx",
    "ONNX, INT8": "-int8-cpu.onnx", "TensorRT plan": "-int8.plan",
}  # fmt: skip
EAGER = "PyTorch eager"
SPREAD = ", spinning"
"""Engines of the latency benchmark whose idle threads spin are left out: live runs do not use them."""
LIVE, TUTORIAL = "live loop", "YuNet tutorial"
DASH = "–"
_SLOT = re.compile(r"(<!-- numbers: ([\w-]+) -->)(.*?)(<!-- /numbers -->)", re.DOTALL)
_CARD_ACCURACY = re.compile(r"\| (\S+) \| plain \| official \| [\d,]+ \| \*\*(\d+\.\d+)%\*\* \[(\d+\.\d+), (\d+\.\d+)\]")


def newest(name: str, results: Path = RESULTS) -> dict[str, Any]:
    """Return the published results of a benchmark on a CPU, those of the latest date.

    Raises:
        ValueError: there are none.
    """
    found = [json.loads(path.read_text()) for path in sorted(results.glob(f"{name}_cpu_*.json"))]
    if not found:
        raise ValueError(f"no {name}_cpu_*.json in {results}. Fix: python benchmarks/{name}.py --publish")
    latest: dict[str, Any] = max(found, key=lambda one: one.get("environment", one)["date"])
    return latest


def speedups(fps: dict[str, Any]) -> list[float]:
    """Return how many times as fast as the tutorial the live loop is, for each clip."""
    return [row["speedup"] for clip in fps["clips"] for row in clip["rows"] if row["variant"] == LIVE]


def headline() -> str:
    """Return the speedup that holds for every clip, a whole number."""
    return f"{int(min(speedups(newest('fps'))))} times"


def speed() -> str:
    """Return the speedups with their command and machine."""
    fps = newest("fps")
    times = " and ".join(f"{one:.1f}" for one in speedups(fps))
    env = fps["environment"]
    return f"{times} times the frames per second on {len(fps['clips'])} clips. *`{env['command']}`, {hardware_of(env)}*"


def hardware_of(env: dict[str, str]) -> str:
    """Return the machine without versions of packages."""
    return env["hardware"].partition(", torch")[0]


def card_accuracy(model: str) -> str:
    """Return accuracy and 95 % interval of a checkpoint on PublicTest, as its card has them; a dash without a card."""
    card = REPOSITORY / "weights" / f"{model}.md"
    found = _CARD_ACCURACY.search(card.read_text()) if card.is_file() else None
    return f"{found[2]} % ({found[3]} to {found[4]})" if found else DASH


def measured_model(latency: dict[str, Any]) -> str:
    """Return the model that the table is about."""
    files = {row["file"] for row in latency["results"]}
    return next(model for model in MODELS if f"{model}.safetensors" in files)


def row_of(latency: dict[str, Any], file: str) -> dict[str, Any] | None:
    """Return the results of a file, with threads that do not spin."""
    return next(
        (row for row in latency["results"]
         if row["file"] == file and "latency" in row and SPREAD not in row["engine"] and row["engine"] != "torch.compile"),
        None,
    )  # fmt: skip


def forms() -> str:
    """Return the table of one model in five forms."""
    latency = newest("latency")
    model = measured_model(latency)
    lines = ["| form | size | accuracy (95 % interval) | same answer as PyTorch | p50, 1 face | faces/s, 16 at a time |", "|---|---|---|---|---|---|"]
    for form, suffix in FORMS.items():
        row = row_of(latency, model + suffix)
        accuracy = card_accuracy(model) if form == "PyTorch" else DASH
        if row is None:
            cells = [DASH] * 5
        else:
            one, many = (next(one for one in row["latency"] if one["batch"] == batch) for batch in (1, 16))
            cells = [
                f"{row['bytes'] / 1e6:.1f} MB", accuracy, f"{100 * row['same_emotion']:.1f} %", f"{one['p50_ms']:.1f} ms",
                f"{many['faces_per_s']:,.0f}",
            ]  # fmt: skip
        lines.append(f"| {form} | {' | '.join(cells)} |")
    note = (
        f"*{model}, {hardware_of(latency)}, {latency['threads']} threads, {latency['date']}; same answer: on {latency['faces']} faces of "
        f"PublicTest ([latency](benchmarks/results/latency_cpu_{latency['date'][:7]}.md), [card](weights/{model}.md)). "
        f"{DASH}: not measured; a plan needs a GPU.*"
    )
    return "\n".join(["", "", *lines, "", note, ""])


def accuracy_of(model: str) -> Callable[[], str]:
    """Return what writes the accuracy of a model's card."""
    return lambda: card_accuracy(model)


SLOTS: dict[str, Callable[[], str]] = {
    "headline": headline, "speed": speed, "forms": forms,
    **{f"accuracy-{path.stem}": accuracy_of(path.stem) for path in sorted((REPOSITORY / "weights").glob("*.md"))},
}  # fmt: skip


def filled(text: str) -> str:
    """Return the page with every slot filled.

    Raises:
        ValueError: a slot has an unknown name.
    """

    def fill(match: re.Match[str]) -> str:
        if match[2] not in SLOTS:
            raise ValueError(f"unknown numbers {match[2]!r}; known: {', '.join(SLOTS)}. Fix: one of these")
        return f"{match[1]}{SLOTS[match[2]]()}{match[4]}"

    return _SLOT.sub(fill, text)


if __name__ == "__main__":
    old = README.read_text()
    new = filled(old)
    if "--check" in sys.argv[1:]:
        sys.exit("README.md differs from benchmarks/results and the cards. Fix: make docs" if old != new else 0)
    README.write_text(new)
