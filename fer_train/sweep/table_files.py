"""Files of a table: Markdown for people, and beside it JSON with everything that is in it."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from fer_train.files.durable import write_content

LABELS = {"fer2013": "FER2013", "ferplus": "FER+ majority"}
"""Words for the labels that accuracy is measured against."""


def today() -> str:
    """Return the date (UTC) as yyyy-mm-dd."""
    return datetime.now(UTC).date().isoformat()


def table_name(what: str, device: torch.device) -> str:
    """Return <what>_<GPU, or cpu>_<yyyy-mm>.md: the name of a table among others."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
    hardware = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    return f"{what}_{hardware}_{today()[:7]}.md"


def write_table(path: Path, markdown: str, content: dict[str, Any]) -> None:
    """Write the Markdown to `path` (.md) and the content to the .json beside it.

    Raises:
        CheckpointError: they cannot be written.
    """
    write_content(path.with_suffix(".json"), json.dumps(content, indent=2) + "\n")
    write_content(path, markdown)
