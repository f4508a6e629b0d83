"""Write the report of training.py in Markdown. Measures nothing."""

from typing import Any

from harness.comparing import Measure, noted_measure

WHOLE = "whole epoch through fit"
"""Name of the row for an epoch of `fit`; it follows the name of the trainer."""


def as_markdown(results: list[dict[str, Any]], env: dict[str, str], choice: dict[str, Any] | None = None) -> str:
    """Return the report as Markdown; `choice` is `training.choice_of_precision`."""
    lines = [
        f"# Training speed, {env['hardware']}",
        "",
        f"{env['date']}, Python {env['python']}, {env['faces']} generated faces of 48x48 per epoch, "
        f"median of {env['rounds']} epochs, alternating trainers.",
        "",
        f"    {env['command']}",
        "",
        "| model | precision | trainer | images/s | against DataLoader | share of the measured matrix-product rate |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {result['model']} | {result['precision']} | {name} | {row['images_per_s']:,.0f} | {row['speedup']:.2f}x "
        f"| {row['share_of_matmul_rate']:.0%} |"
        for result in results
        for name, row in result["trainers"].items()
    ]
    return "\n".join([*lines, *_notes(results, env), *_choice(choice), ""])


def measures_of(results: list[dict[str, Any]]) -> list[Measure]:
    """Return what --compare compares: how many times as fast as the DataLoader trainer each one is."""
    return [
        noted_measure(
            f"{result['model']}, {result['precision']}, {name}: times the DataLoader trainer",
            row["speedup"],
            row.get("speedups"),
            better="higher",
            is_ratio=True,
        )
        for result in results
        for name, row in result["trainers"].items()
    ]


def _notes(results: list[dict[str, Any]], env: dict[str, str]) -> list[str]:
    notes = []
    if "cuda" not in env["device"]:
        notes += [
            "",
            "On a shared CPU only ratios within the run are meaningful: images/s depend on the other work.",
        ]
    num_validation = {result["validation_faces"] for result in results if "validation_faces" in result}
    if num_validation:
        notes += [
            "",
            f"A {WHOLE} includes, besides its steps, the checks of loss and weights, validation on "
            f"{max(num_validation):,} faces, last.pt, and best.safetensors if the epoch is the best; images/s "
            "and the share count the training faces.",
            *_shares_of_steps(results),
        ]
    else:
        notes += ["", f"A {WHOLE}, with validation and checkpoints, is not measured here."]
    return notes


def _shares_of_steps(results: list[dict[str, Any]]) -> list[str]:
    """Return a sentence for each model: how much of an epoch its steps are."""
    lines = []
    for result in results:
        for name, whole in result["trainers"].items():
            steps = result["trainers"].get(name.removesuffix(f", {WHOLE}")) if name.endswith(WHOLE) else None
            if steps is not None:
                share = whole["images_per_s"] / steps["images_per_s"]
                lines += ["", f"{result['model']}: the steps alone take {share:.0%} of a whole epoch's time."]
    return lines


def _choice(choice: dict[str, Any] | None) -> list[str]:
    if choice is None:
        return []
    features = ", ".join(choice["features"]) or "none"
    text = f"`precision: auto` takes {choice['auto']}. Instructions for bf16: {features}."
    if choice["bf16_speedup"] is not None:
        text += f" fer_train's own trial before it chose: bf16 is {choice['bf16_speedup']:.2f} times as fast as fp32."
    if not choice["is_choice"]:
        text += " bf16 was not measured: this CPU would emulate it."
    return ["", text]
