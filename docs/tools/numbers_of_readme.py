"""Write the numbers of README.md from benchmarks/results/*.json and the model cards.

    python docs/tools/numbers_of_readme.py            # write them
    python docs/tools/numbers_of_readme.py --check    # exit code 1 where the README differs
    python docs/tools/numbers_of_readme.py --table artifacts/benchmarks    # print the table of other results

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
    "PyTorch": ".safetensors",
    "ONNX, FP32": "-fp32.onnx",
    "ONNX, FP16": "-fp16.onnx",
    "ONNX, INT8": "-int8-cpu.onnx",
    "TensorRT plan": "-int8.plan",
}
OTHER_ENGINES = ("torch.compile", "spinning")
"""Left out: torch.compile, and threads that spin while idle, which live runs do not use."""
PYTORCH = "PyTorch FP32"
"""Reference in accuracy.json."""
LIVE, TUTORIAL = "live loop", "YuNet tutorial"
AS_CAMERA = "live loop at 30 frames/s, as a camera"
DASH = "–"
STABLE_MARK = {True: "", False: " †"}
_SLOT = re.compile(r"(<!-- numbers: ([\w-]+) -->)(.*?)(<!-- /numbers -->)", re.DOTALL)
_CARD_ACCURACY = re.compile(r"\| plain \| official \| [\d,]+ \| \*\*(\d+\.\d+)%\*\* \[(\d+\.\d+), (\d+\.\d+)\]")


def newest_file(name: str, results: Path = RESULTS) -> Path:
    """Return the published results of a benchmark on a CPU, those that were measured last.

    Raises:
        ValueError: there are none.
    """
    times = {path: time_on_cpu(path) for path in sorted(results.glob(f"*/*/{name}.json"))}
    if not any(times.values()):
        raise ValueError(f"no {name}.json of a CPU in {results}. Fix: python benchmarks/{name}.py --publish")
    return max(times, key=lambda path: times[path])


def time_on_cpu(path: Path) -> str:
    """Return when a result was measured, or its date alone if it is older than that note; "" if it is of a GPU."""
    found = json.loads(path.read_text())
    env: dict[str, str] = found.get("environment", found)
    started: str = found.get("host", {}).get("started", env["date"])
    return started if re.search(r", \d+ cores\b", env["hardware"]) else ""


def newest(name: str, results: Path = RESULTS) -> dict[str, Any]:
    """Return what `newest_file` holds."""
    found: dict[str, Any] = json.loads(newest_file(name, results).read_text())
    return found


def speedups(fps: dict[str, Any]) -> list[float]:
    """Return how many times as fast as the tutorial the live loop is, for each clip."""
    return [row["speedup"] for row in rows_of(fps, LIVE)]


def rows_of(fps: dict[str, Any], variant: str) -> list[dict[str, Any]]:
    """Return the rows of one loop, one for each clip."""
    return [row for clip in fps["clips"] for row in clip["rows"] if row["variant"] == variant]


def headline() -> str:
    """Return the speedup that holds for every clip, a whole number."""
    return f"{int(min(speedups(newest('fps'))))} times"


def speed() -> str:
    """Return the speedups with their command and machine."""
    fps = newest("fps")
    times = " and ".join(f"{one:.1f}" for one in speedups(fps))
    env = fps["environment"]
    command = env["command"].removesuffix(" --publish")
    waits = " and ".join(f"{row['p50_ms']:.0f}" for row in rows_of(fps, AS_CAMERA))
    return (
        f"{times} times the frames per second on {len(fps['clips'])} recordings, INT8 here and PyTorch's FP32 there "
        f"(medians of each round's ratio; the bars are medians of the rates). A camera of 30 frames/s has its results "
        f"after {waits} ms (median). *`{command}`, {hardware_of(env)}* ([results]({page_of('fps', RESULTS)}))"
    )


def hardware_of(env: dict[str, str]) -> str:
    """Return the machine without versions of packages."""
    return env["hardware"].partition(", torch")[0]


def card_accuracy(model: str) -> str:
    """Return accuracy and 95 % interval of a checkpoint on PublicTest, as its card has them; a dash without a card."""
    card = REPOSITORY / "weights" / f"{model}.md"
    found = _CARD_ACCURACY.search(card.read_text()) if card.is_file() else None
    return f"{found[1]} % ({found[2]} to {found[3]})" if found else DASH


def measured_model(latency: dict[str, Any]) -> str:
    """Return the model that the table is about.

    Raises:
        ValueError: none of `MODELS` was measured.
    """
    files = {row["file"] for row in latency["results"]}
    found = next((model for model in MODELS if f"{model}.safetensors" in files), None)
    if found is None:
        raise ValueError(f"the newest latency is of none of {', '.join(MODELS)}. Fix: make bench")
    return found


def row_of(latency: dict[str, Any], file: str) -> dict[str, Any] | None:
    """Return the results of a file in its usual engine; None: not measured."""
    of_file = (row for row in latency["results"] if row["file"] == file and "latency" in row)
    return next((row for row in of_file if not row["engine"].endswith(OTHER_ENGINES)), None)


def accuracies(accuracy: dict[str, Any], model: str) -> dict[str, dict[str, Any]]:
    """Return the accuracy rows of a model by file, plain, against the labels that it was trained on."""
    own = "ferplus" if model.endswith("-ferplus") else "fer2013"
    rows = (row for row in accuracy["results"] if row.get("model") == model and row["labels"] == own)
    return {row["artifact"]: row for row in rows if row["view"] == "plain"}


def cells_of(row: dict[str, Any] | None, accuracy: dict[str, Any] | None) -> list[str]:
    """Return size, accuracy with its interval, same answers as PyTorch, p50 of one face, and faces a second."""
    measured, same = DASH, DASH
    if accuracy is not None:
        low, high = accuracy["accuracy_interval"]
        measured = f"{100 * accuracy['accuracy']:.1f} % ({100 * low:.1f} to {100 * high:.1f})"
        same = DASH if accuracy["same_emotion"] is None else f"{100 * accuracy['same_emotion']:.1f} %"
    if row is None:
        return [DASH, measured, same, DASH, DASH]
    found = {one["batch"]: one for one in row["latency"]}
    one, many = found.get(1), found.get(16)
    speeds = [
        DASH if one is None else f"{one['p50_ms']:.1f} ms{STABLE_MARK[one['stable']]}",
        DASH if many is None else f"{many['faces_per_s']:,.0f}{STABLE_MARK[many['stable']]}",
    ]
    return [f"{row['bytes'] / 1e6:.1f} MB", measured, same, *speeds]


def forms(results: Path = RESULTS) -> str:
    """Return the table of one model in five forms, of what was measured."""
    latency = newest("latency", results)
    model = measured_model(latency)
    try:
        accuracy = newest("accuracy", results)
    except ValueError:  # FER2013 is not at hand
        known, where = {}, "accuracy: not measured"
    else:
        known, where = accuracies(accuracy, model), measured_where("accuracy", accuracy, results)
        num_faces = max((row["num_faces"] for row in known.values()), default=0)
        where += f", {num_faces:,} faces of {accuracy['split']}"
    labels = "FER+'s majority" if model.endswith("-ferplus") else "FER2013's labels"
    head = (
        "form",
        "size",
        f"accuracy against {labels} (95 % interval)",
        "same answer as PyTorch",
        "p50, 1 face",
        "faces/s, 16 at a time",
    )
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for form, suffix in FORMS.items():
        of_form = known.get(PYTORCH if form == "PyTorch" else model + suffix)
        lines.append(f"| {form} | {' | '.join(cells_of(row_of(latency, model + suffix), of_form))} |")
    note = (
        f"*[{model}](weights/{model}.md); {measured_where('latency', latency, results)}, {latency['threads']} threads; "
        f"{where}. {DASH}: not measured; a plan needs a GPU. †: windows differed by more than 10 %.*"
    )
    return "\n".join(["", "", *lines, "", note, ""])


def measured_where(name: str, measured: dict[str, Any], results: Path) -> str:
    """Return the report, the command, the machine and the date of a measurement."""
    command = measured["command"].removesuffix(" --publish")
    return f"[{name}]({page_of(name, results)}): `{command}`, {hardware_of(measured)}, {measured['date']}"


def page_of(name: str, results: Path) -> Path:
    """Return the report of the newest results, from the repository's root."""
    page = newest_file(name, results).with_suffix(".md")
    return page.relative_to(REPOSITORY) if page.is_relative_to(REPOSITORY) else page


def _percent(share: float) -> str:
    return f"{share:.0%}".replace("%", " %")


def trust(results: Path = RESULTS) -> str:
    """Return how well the default model agrees with codes of faces in video, and where that ends."""
    found = newest("agreement", results)
    coders = found["coders"]
    both = next(row for row in found["videos"] if row["model"] == "ferplus" and row["codes"] == "both coders")
    accuracy, kappa = both["raw"]["accuracy"], both["raw"]["kappa"]
    shown, surprise = both["shown"], both["shown"]["recall"]["surprise"]
    rows = {row["condition"]: row for row in found["conditions"] if row["model"] == "ferplus"}
    dark, tiny = rows["light x 0.25"], rows["face of 16 pixels"]
    interval, interval_shown = (f"{one['low']:.2f} to {one['high']:.2f}" for one in (kappa, shown["kappa"]))
    right = {name: _percent(row["accuracy"]["value"]) for name, row in rows.items()}
    page, env = page_of("agreement", results), found["environment"]
    return (
        f"Two coders agreed on {coders['same']} faces of {both['people']} people in five videos. The default model "
        f"names {_percent(accuracy['value'])} of these as they do, frame by frame (Cohen's kappa {kappa['value']:.2f}, "
        f"95 % interval by person {interval}). Smoothed over time, as video and report show it: "
        f"{_percent(shown['accuracy']['value'])} (kappa {shown['kappa']['value']:.2f}, {interval_shown}); of short "
        f"surprises only {_percent(surprise)}. Reduced to 32 pixels: {right['face of 32 pixels']}. In a quarter of the "
        f"light {_percent(dark['found'])} are found, and {right['light x 0.25']} of these named rightly. Much blurred: "
        f"{right['blur of 4.0% of the face']}. At 16 pixels {_percent(tiny['found'])} are found, and "
        f"{_percent(1 - tiny['readable'])} of these are marked unreadable. "
        f"*`{env['command'].removesuffix(' --publish')}`, {hardware_of(env)}* ([results]({page}))"
    )


def accuracy_of(model: str) -> Callable[[], str]:
    """Return what writes the accuracy of a model's card."""
    return lambda: card_accuracy(model)


SLOTS: dict[str, Callable[[], str]] = {
    "headline": headline,
    "speed": speed,
    "forms": forms,
    "trust": trust,
    **{f"accuracy-{path.stem}": accuracy_of(path.stem) for path in sorted((REPOSITORY / "weights").glob("*.md"))},
}


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
    if "--table" in sys.argv[1:-1]:
        try:
            print(forms(Path(sys.argv[-1]).resolve()))  # noqa: T201 - what the user asked for
        except ValueError as err:  # nothing was measured
            sys.exit(f"no table: {err}")
        sys.exit(0)
    old = README.read_text()
    new = filled(old)
    if "--check" in sys.argv[1:]:
        sys.exit("README.md differs from benchmarks/results and the cards. Fix: make docs" if old != new else 0)
    README.write_text(new)
