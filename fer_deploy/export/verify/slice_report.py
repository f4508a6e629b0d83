"""Write the section of the report about slices: agreement with PyTorch on clean and on degraded faces."""

from typing import Any

from fer_deploy.export.variants import RUNAWAY_KEY

_SHOWN_LAYERS = 8


def slice_lines(content: dict[str, Any]) -> list[str]:
    """Return the Markdown table of slices and artifacts; empty if no slice was compared."""
    compared = compared_entries(content)
    if not compared:
        return []
    rows = [
        f"| {part['slice']} | {part['made']} | {part['num_faces']} | "
        + " | ".join(_cell(entry, part["slice"]) for entry in compared)
        + " |"
        for part in content["slices"]
    ]
    names = " | ".join(entry["name"] for entry in compared)
    return [
        "## Slices",
        "",
        "Share of faces with the same emotion as in PyTorch, and the largest |Δlogit|. Each slice has some of the "
        "faces above, evenly spread, or faces of recordings.",
        "",
        f"| slice | made by | faces | {names} |",
        "|---|---|---|" + "---|" * len(compared),
        *rows,
        "",
    ]


def compared_entries(content: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the artifacts and plans with comparisons on slices."""
    entries = [*content["artifacts"], *content["plans"]]
    return [entry for entry in entries if entry["comparison"] and entry["comparison"].get("slices")]


def agreement_of(entry: dict[str, Any], name: str) -> float:
    """Return the share of faces of a slice with the same emotion."""
    return float(_found(entry, name)["agreement"])


def runaway_lines(record: dict[str, Any]) -> list[str]:
    """Return a line about the layers of an INT8 artifact whose activations run away on degraded faces."""
    layers = record.get(RUNAWAY_KEY) or []
    if not layers:
        return []
    shown = ", ".join(f"{one['layer']} ({one['factor']:.1f} on {one['slice']} faces)" for one in layers[:_SHOWN_LAYERS])
    more = f" and {len(layers) - _SHOWN_LAYERS} more" if len(layers) > _SHOWN_LAYERS else ""
    return [
        f"Activations run away (multiples of the calibrated range) at: {shown}{more}. INT8 clips them, so its results "
        "may differ."
    ]


def _cell(entry: dict[str, Any], name: str) -> str:
    found = _found(entry, name)
    return f"{found['agreement']:.2%}, {found['max_abs_logit']:.2g}"


def _found(entry: dict[str, Any], name: str) -> dict[str, Any]:
    return next(part for part in entry["comparison"]["slices"] if part["slice"] == name)
