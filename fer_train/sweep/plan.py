"""The plan of a sweep, strict, from YAML, and the runs that it becomes. Starts nothing."""

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import yaml
from pydantic import Field, ValidationError, model_validator

from fer_train.checkpoint import read_spec_json
from fer_train.config import Strict
from fer_train.config_file import config_from_dict, load_config
from fer_train.errors import ConfigError
from fer_train.yaml_file import read_yaml


class Entry(Strict):
    """A config of fer-train with its seeds; `set` overrides the config's keys, `name` is else the config's."""

    config: str
    seeds: tuple[int, ...] = Field(min_length=1, strict=False)
    name: str | None = None
    set: dict[str, Any] = Field(default_factory=dict)

    @property
    def folder_name(self) -> str:
        """What its runs are called, without the seed."""
        return self.name or Path(self.config).stem


class EnsemblePlan(Strict):
    """The best `size` singles by PublicTest, flip, made when all are done, or earlier by `after_share`."""

    size: int = Field(ge=2)
    after_share: float | None = Field(
        default=None, gt=0, lt=1, description="of a call's minutes: from then on two released singles are enough"
    )


class Plan(Strict):
    """What a sweep shall do; `jobs` is how many runs go on at a time."""

    jobs: int = Field(ge=1)
    singles: tuple[Entry, ...] = Field(strict=False)
    ensemble: EnsemblePlan
    students: tuple[Entry, ...] = Field(strict=False)

    @model_validator(mode="after")
    def _folders_differ(self) -> Self:
        folders = Counter(f"{e.folder_name}-{seed}" for e in (*self.singles, *self.students) for seed in e.seeds)
        if twice := [folder for folder, count in folders.items() if count > 1]:
            raise ValueError(f"two runs of the name {', '.join(twice)}; give one entry another `name`")
        return self


@dataclass(frozen=True)
class Trial:
    """One training run of the plan; `config` and the folder `out` are its own."""

    name: str
    seed: int
    config: Path
    out: Path
    needs_votes: bool

    @property
    def label(self) -> str:
        """How people are told of it."""
        return f"{self.name}-{self.seed}"

    @property
    def release(self) -> Path:
        """Where its weights go."""
        return self.out / "release.safetensors"

    @property
    def is_trained(self) -> bool:
        """Whether its last epoch is done: fer-train writes the history after everything else."""
        return (self.out / "history.json").exists()

    @property
    def is_released(self) -> bool:
        """Whether its weights are there, and their card, which fer-train writes after them."""
        return self.release.with_suffix(".md").exists()

    def metrics(self) -> dict[str, Any]:
        """Return what its release says of PublicTest."""
        measured: dict[str, Any] = json.loads(read_spec_json(self.release))["metrics"]["PublicTest"]
        return measured


def read_plan(path: Path) -> Plan:
    """Read a plan.

    Raises:
        ConfigError: not YAML, an unknown key or a bad value.
    """
    try:
        return Plan.model_validate(read_yaml(path, examples="configs/sweep/*.yaml"))
    except ValidationError as err:
        wrong = "\n".join(f"  {'.'.join(map(str, d['loc'])) or 'plan'}: {d['msg']}" for d in err.errors())
        raise ConfigError(f"cannot use the plan {path}:\n{wrong}\nFix: keys as in configs/sweep/gpu.yaml") from err


def write_trials(entries: tuple[Entry, ...], out: Path, *, teacher: Path | None = None) -> list[Trial]:
    """Write the resolved config of every run into `out`, with a folder for it; `teacher` is what students learn from.

    Raises:
        ConfigError: a config that fer-train would refuse.
    """
    trials = []
    for entry in entries:
        settings = load_config(Path(entry.config)).model_dump(mode="json") | entry.set
        if teacher is not None:
            settings["distillation"] = (settings["distillation"] or {}) | {"teachers": [str(teacher)]}
        for seed in entry.seeds:
            folder = out / f"{entry.folder_name}-{seed}"
            resolved = config_from_dict(settings | {"seed": seed}, where=f"plan, {folder.name}")
            folder.mkdir(parents=True, exist_ok=True)
            file = out / f"{folder.name}.yaml"
            file.write_text(yaml.safe_dump(resolved.model_dump(mode="json"), sort_keys=False))
            trials.append(Trial(entry.folder_name, seed, file, folder, needs_votes=resolved.needs_votes))
    return trials
