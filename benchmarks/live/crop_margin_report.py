"""Write the report of crop_margin.py: by model, accuracy by crop and turn, and clips. Measures nothing."""

from typing import Any

from harness.comparing import Measure, share_measure
from harness.measuring import markdown_table

from fer_train.data.faces import LABELS_IN_WORDS

Row = dict[str, Any]


def models_of(result: Row) -> list[Row]:
    """Return the results by model; one without a name in a file from before several models were measured."""
    return result.get("models") or [{**result, "model": "", "faces": int(result["environment"]["faces"])}]


def as_markdown(result: Row) -> str:
    """Return the report as Markdown."""
    lines = ["# Crop margin", "", f"`{result['environment']['command']}`, {result['environment']['hardware']}", ""]
    lines += [line for note in result.get("notes", ()) for line in (f"Note: {note}.", "")]
    for model in models_of(result):
        if model["model"]:
            against = f"{LABELS_IN_WORDS[model['labels']]}, {model['faces']:,} faces"
            lines += [f"## {model['model']}: {against}", "", f"{model['engine']}.", ""]
        lines += _model_as_markdown(model, "###" if model["model"] else "##")
    return "\n".join(lines)


def _model_as_markdown(model: Row, level: str) -> list[str]:
    lines = []
    for name, margins in model["margins"].items():
        lines += [
            f"{level} {name}",
            "",
            f"Found {margins['found']:.1%}; originals of these: {margins['original']:.2%}.",
            f"Position of the original square, quartiles: {margins['geometry']}",
            "",
        ]
        shifts = dict.fromkeys(row["shift"] for row in margins["grid"])
        lines += ["| scale \\ shift |" + "".join(f" {s:+.2f} |" for s in shifts), "|---|" + "---|" * len(shifts)]
        for scale in dict.fromkeys(row["scale"] for row in margins["grid"]):
            cells = [row["accuracy"] for row in margins["grid"] if row["scale"] == scale]
            lines.append(f"| {scale} |" + "".join(f" {cell:.2%} |" for cell in cells))
        lines.append("")
    for title, rows in (("Leaning faces (YuNet)", model["turns"]), ("Clips (YuNet)", model["clips"])):
        if rows:
            lines += [f"{level} {title}", "", *markdown_table(rows, digits=4), ""]
    return lines


def measures_of(result: Row) -> list[Measure]:
    """Return what --compare compares: accuracies of crops, and of turned faces; no machine's speed changes them."""
    found = []
    for model in models_of(result):
        num, of_model = model["faces"], f"{model['model']}, " if model["model"] else ""
        for name, margins in model["margins"].items():
            found.append(share_measure(f"{of_model}{name}: faces found", margins["found"], num))
            for row in margins["grid"]:
                crop = f"{of_model}{name}, scale {row['scale']}, shift {row['shift']:+.2f}"
                found.append(share_measure(f"{crop}: accuracy", row["accuracy"], round(num * margins["found"])))
        for row in model["turns"]:
            for way in ("as it is", "upright"):
                name = f"{of_model}turned by {row['roll']} degrees, {way}: accuracy"
                found.append(share_measure(name, row[way], round(num * row["found"])))
    return found
