"""Write the numbers of README.md from benchmarks/results/*.json and the model cards.

    python docs/tools/numbers_of_readme.py            # write them
    python docs/tools/numbers_of_readme.py --check    # exit code 1 where the README differs

A number is between `<!-- numbers: NAME -->` and `<!-- /numbers -->`. What was not measured is a dash.
"""

import json
import math
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
OTHER_ENGINES = ("torch.compile", "spinning")
"""Left out: torch.compile, and threads that spin while idle, which live runs do not use."""
LIVE, TUTORIAL = "live loop", "YuNet tutorial"
DASH = "–"
_SLOT = re.compile(r"(<!-- numbers: ([\w-]+) -->)(.*?)(<!-- /numbers -->)", re.DOTALL)
_CARD_ACCURACY = re.compile(r"\| plain \| official \| [\d,]+ \| \*\*(\d+\.\d+)%\*\* \[(\d+\.\d+), (\d+\.\d+)\]")


def newest_file(name: str, results: Path = RESULTS) -> Path:
    """Return the published results of a benchmark on a CPU, those of the latest date.

    Raises:
        ValueError: there are none.
    """
    dates = {path: date_on_cpu(path) for path in sorted(results.glob(f"*/*/{name}.json"))}
    if not any(dates.values()):
        raise ValueError(f"no {name}.json of a CPU in {results}. Fix: python benchmarks/{name}.py --publish")
    return max(dates, key=lambda path: dates[path])


def date_on_cpu(path: Path) -> str:
    """Return the date of a result file; "" if a GPU was measured."""
    found = json.loads(path.read_text())
    env: dict[str, str] = found.get("environment", found)
    return env["date"] if re.search(r", \d+ cores\b", env["hardware"]) else ""


def newest(name: str, results: Path = RESULTS) -> dict[str, Any]:
    """Return what `newest_file` holds."""
    found: dict[str, Any] = json.loads(newest_file(name, results).read_text())
    return found


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
    return f"{found[1]} % ({found[2]} to {found[3]})" if found else DASH


def measured_model(latency: dict[str, Any]) -> str:
    """Return the model that the table is about."""
    files = {row["file"] for row in latency["results"]}
    return next(model for model in MODELS if f"{model}.safetensors" in files)


def row_of(latency: dict[str, Any], file: str) -> dict[str, Any] | None:
    """Return the results of a file in its usual engine; None: not measured."""
    of_file = (row for row in latency["results"] if row["file"] == file and "latency" in row)
    return next((row for row in of_file if not row["engine"].endswith(OTHER_ENGINES)), None)


def with_interval(share: float, num: int) -> str:
    """Return a share of `num` faces in percent with Wilson's 95 % interval."""
    z = 1.96
    center = (share + z**2 / (2 * num)) / (1 + z**2 / num)
    half = z / (1 + z**2 / num) * math.sqrt(share * (1 - share) / num + z**2 / (4 * num**2))
    return f"{100 * share:.1f} % ({100 * (center - half):.1f} to {100 * (center + half):.1f})"


def cells_of(row: dict[str, Any] | None, num_faces: int) -> list[str]:
    """Return size, accuracy, same answers, p50 of one face, and faces a second."""
    if row is None:
        return [DASH] * 5
    accuracy = with_interval(row["accuracy"], num_faces) if "accuracy" in row else DASH
    one, many = (next(one for one in row["latency"] if one["batch"] == batch) for batch in (1, 16))
    same, p50 = f"{100 * row['same_emotion']:.1f} %", f"{one['p50_ms']:.1f} ms"
    return [f"{row['bytes'] / 1e6:.1f} MB", accuracy, same, p50, f"{many['faces_per_s']:,.0f}"]


def forms() -> str:
    """Return the table of one model in five forms."""
    latency = newest("latency")
    model = measured_model(latency)
    head = (
        "form",
        "size",
        "accuracy (95 % interval)",
        "same answer as PyTorch",
        "p50, 1 face",
        "faces/s, 16 at a time",
    )
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for form, suffix in FORMS.items():
        cells = cells_of(row_of(latency, model + suffix), int(latency["faces"]))
        lines.append(f"| {form} | {' | '.join(cells)} |")
    table = newest_file("latency").with_suffix(".md").relative_to(REPOSITORY)
    note = (
        f"*{model}, {hardware_of(latency)}, {latency['threads']} threads, {latency['date']}; accuracy and same "
        f"answer on {latency['faces']} faces of PublicTest ([latency]({table})). On the whole of it PyTorch has "
        f"{card_accuracy(model)} ([card](weights/{model}.md)). {DASH}: not measured; a plan needs a GPU.*"
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
