"""What a rebuild did: a row for each artifact, and the record of it in the folder."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from fer_deploy.engines.best import BEST_NAME
from fer_deploy.environment import Environment
from fer_deploy.errors import ConfigError, FerDeployError
from fer_deploy.export.verify.compare import Comparison
from fer_deploy.export.verify.saved_io import SavedIO

RECORD: Final = "rebuild.json"
FORMAT: Final = "fer-rebuild-1"


@dataclass(frozen=True)
class Row:
    """One artifact.

    Attributes:
        name: of its file.
        built: how it was made: "pack" (it was in it), or builder and version; empty: it was not built.
        comparison: with the saved logits; None: it does not run here.
        reason: why it does not run, or was not built; empty if it ran.
        is_plan: whether it is a plan.
        is_broken: whether it is left out of the folder.
        packed_difference: the largest |Δlogit| of its model on the machine that packed it; None: not known.
    """

    name: str
    built: str
    comparison: Comparison | None
    reason: str
    is_plan: bool = False
    is_broken: bool = False
    packed_difference: float | None = None

    @property
    def is_written(self) -> bool:
        """Whether the folder has its file."""
        return bool(self.built) and not self.is_broken


@dataclass(frozen=True)
class Outcome:
    """Result of a rebuild.

    Attributes:
        folder: that was written.
        model: name of the model.
        pack_sha256: digest of the pack.
        saved: inputs and logits that the artifacts were compared with.
        rows: the models in the order of the pack, then the plans.
        failure: the error to raise after the table was printed, or None.
    """

    folder: Path
    model: str
    pack_sha256: str
    saved: SavedIO
    rows: tuple[Row, ...]
    failure: FerDeployError | None

    @property
    def has_artifacts(self) -> bool:
        """Whether the folder has anything to measure."""
        return any(row.is_written for row in self.rows)

    def to_dict(self, environment: Environment) -> dict[str, Any]:
        """Return plain values for JSON: the record that proves the plans on this machine."""
        host = environment.host
        return {
            "format": FORMAT,
            "model": self.model,
            "pack_sha256": self.pack_sha256,
            "reference": {"engine": self.saved.reference, "faces": self.saved.faces, "num": len(self.saved.logits)},
            "machine": {
                "cpu": environment.cpu,
                "gpus": [asdict(gpu) for gpu in host.gpus],
                "driver": environment.driver,
                "os": host.os,
                "machine": host.machine,
                "packages": dict(environment.packages),
            },
            "artifacts": [
                {
                    "name": row.name,
                    "built": row.built,
                    "comparison": None if row.comparison is None else row.comparison.to_dict(),
                    "max_abs_logit_at_packing": row.packed_difference,
                    "not_run": row.reason or None,
                    "written": row.is_written,
                }
                for row in self.rows
            ],
        }


def require_folder(folder: Path, pack_sha256: str) -> set[str]:
    """Check that a rebuild may write into a folder: it is new, empty, or holds an earlier rebuild of the same pack.

    Returns:
        Names of the files of the earlier rebuild that this one replaces.

    Raises:
        ConfigError: it holds something else.
    """
    if not folder.exists():
        return set()
    fix = "Fix: another --out, or an empty folder"
    if not folder.is_dir():
        raise ConfigError(f"out: {folder} is a file, expected a folder. {fix}")
    if not any(folder.iterdir()):
        return set()
    try:
        record = json.loads((folder / RECORD).read_bytes())
        if record["pack_sha256"] == pack_sha256:
            names = [str(entry["name"]) for entry in record["artifacts"]]
            written = {name for file in names if Path(file).name == file for name in (file, f"{file}.json")}
            return written | {BEST_NAME}  # measured with the earlier plans
    except (OSError, ValueError, LookupError, TypeError):
        pass
    raise ConfigError(
        f"out: {folder} is not empty and holds no rebuild of this pack; the files of two models would mix. {fix}"
    )
