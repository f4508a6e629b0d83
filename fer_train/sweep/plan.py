"""The plan of a sweep: a strict YAML file, and the training runs that it describes. Starts no process."""

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Self

import yaml
from pydantic import BeforeValidator, Field, ValidationError, model_validator

from fer_train.checkpoint import read_spec_json
from fer_train.config import Strict, TrainConfig
from fer_train.config_file import config_from_dict, load_config
from fer_train.errors import ConfigError
from fer_train.files.durable import write_content
from fer_train.files.value_faults import fault_in_words
from fer_train.files.yaml_file import read_yaml
from fer_train.privacy.portable_paths import shown_path


class Entry(Strict):
    """A config of fer-train and its seeds: one run for each seed."""

    config: str = Field(description="YAML of fer-train train, relative to the working directory")
    seeds: tuple[int, ...] = Field(min_length=1, strict=False)
    name: str | None = Field(default=None, description="first part of the folder's name; none: the config's name")
    set: dict[str, Any] = Field(default_factory=dict, description="keys of the config with other values")

    @property
    def folder_name(self) -> str:
        """The name of its folders, without the seed."""
        return self.name or Path(self.config).stem


class EnsemblePlan(Strict):
    """The ensemble of the best singles, by accuracy on PublicTest with mirror images."""

    size: int = Field(ge=2, description="number of members, at most")
    after_share: float | None = Field(
        default=None,
        gt=0,
        lt=1,
        description="of --minutes: after this share two released singles are enough; none: wait for all",
    )


class Plan(Strict):
    """What a sweep does."""

    jobs: int = Field(ge=1, description="number of runs at the same time")
    singles: tuple[Entry, ...] = Field(min_length=1, strict=False)
    ensemble: EnsemblePlan | None = Field(default=None, description="none: no ensemble is made")
    students: Annotated[tuple[Entry, ...], BeforeValidator(lambda value: () if value is None else value)] = Field(
        default=(), strict=False, description="none: no student is taught"
    )

    @model_validator(mode="after")
    def _folders_differ(self) -> Self:
        folders = Counter(f"{e.folder_name}-{seed}" for e in (*self.singles, *self.students) for seed in e.seeds)
        if twice := [folder for folder, count in folders.items() if count > 1]:
            raise ValueError(f"two runs of the name {', '.join(twice)}; give one entry another `name`")
        return self

    @model_validator(mode="after")
    def _students_have_a_teacher(self) -> Self:
        if self.students and self.ensemble is None:
            raise ValueError("students learn from the ensemble, and the plan has none; add `ensemble: {size: 2}`")
        return self


@dataclass(frozen=True)
class Trial:
    """One training run of the plan.

    Attributes:
        name: the entry's folder name.
        seed: of the run.
        config: all its settings.
        config_file: the same as YAML, for fer-train train.
        out: its folder.
    """

    name: str
    seed: int
    config: TrainConfig
    config_file: Path
    out: Path

    @property
    def label(self) -> str:
        """Its name in messages: name and seed."""
        return f"{self.name}-{self.seed}"

    @property
    def release(self) -> Path:
        """The file of its released weights."""
        return self.out / "release.safetensors"

    @property
    def learns_ferplus(self) -> bool:
        """Whether its labels are those of FER+: then its release is measured against the votes."""
        return self.config.labels == "ferplus"

    @property
    def needs_votes(self) -> bool:
        """Whether its training or its release needs the votes of FER+."""
        return self.config.needs_votes or self.learns_ferplus

    @property
    def recalibrates(self) -> bool:
        """Whether its release measures batch norm again, on faces that are not augmented.

        Not for FER+ labels: those runs saw degraded faces on purpose, and without their statistics accuracy falls. Not
        after quantization-aware training: the activation ranges belong to the statistics of training.
        """
        return not (self.learns_ferplus or self.config.quantization_aware)

    @property
    def is_trained(self) -> bool:
        """Whether its last epoch is finished: fer-train writes the history after the weights."""
        return (self.out / "history.json").exists()

    @property
    def is_released(self) -> bool:
        """Whether its release is complete: fer-train writes the model card after the weights."""
        return self.release.with_suffix(".md").exists()

    def spec(self) -> dict[str, Any]:
        """Return the ModelSpec of its release."""
        spec: dict[str, Any] = json.loads(read_spec_json(self.release))
        return spec


def read_plan(path: Path) -> Plan:
    """Read a plan.

    Raises:
        ConfigError: not YAML, an unknown key or a bad value.
    """
    try:
        return Plan.model_validate(read_yaml(path, examples="configs/sweep/*.yaml"))
    except ValidationError as err:
        wrong = "\n".join(f"  {'.'.join(map(str, d['loc'])) or 'plan'}: {fault_in_words(d)}" for d in err.errors())
        raise ConfigError(f"cannot use the plan {path}:\n{wrong}\nFix: keys as in configs/sweep/gpu.yaml") from err


def write_trials(entries: tuple[Entry, ...], out: Path, *, teacher: Path | None = None) -> list[Trial]:
    """Write the complete config of every run to OUT/<name>-<seed>.yaml and make its folder.

    Args:
        entries: of the plan.
        out: folder of the sweep.
        teacher: the ensemble that students learn from; None for singles.

    Raises:
        ConfigError: a config that fer-train would refuse, or one that changed since the run began.
        CheckpointError: `out` cannot be written.
    """
    trials = [trial for entry in entries for trial in _trials_of(entry, out, teacher)]
    for trial in trials:
        _check_unchanged(trial)
    for trial in trials:
        text = yaml.safe_dump(trial.config.model_dump(mode="json"), sort_keys=False)
        write_content(trial.config_file, text)
        trial.out.mkdir(parents=True, exist_ok=True)
    return trials


def _trials_of(entry: Entry, out: Path, teacher: Path | None) -> list[Trial]:
    settings = load_config(Path(entry.config)).model_dump(mode="json") | entry.set
    if teacher is not None:
        settings["distillation"] = (settings["distillation"] or {}) | {"teachers": [_as_one_spelling(teacher)]}
    trials = []
    for seed in entry.seeds:
        folder = out / f"{entry.folder_name}-{seed}"
        config = config_from_dict(settings | {"seed": seed}, where=f"plan, {folder.name}")
        trials.append(Trial(entry.folder_name, seed, config, out / f"{folder.name}.yaml", folder))
    return trials


def _as_one_spelling(path: Path) -> str:
    """Return the path from here where it is below, else from the root: a resumed run compares it with that of then."""
    full, here = path.resolve(), Path.cwd()
    return str(full.relative_to(here) if full.is_relative_to(here) else full)


def _check_unchanged(trial: Trial) -> None:
    """Refuse a run that began with other settings than the plan has now.

    The device and the teacher's path do not count, other paths as `shown_path` gives them, which is in config.yaml.

    Raises:
        ConfigError: as said.
    """
    written = trial.out / "config.yaml"
    if not (written.exists() and (trial.is_trained or (trial.out / "last.pt").exists())):
        return
    try:
        then = load_config(written).model_dump(mode="json")
    except ConfigError:  # of an older version, with a key that is no more
        return
    now = trial.config.model_dump(mode="json")
    for settings in (then, now):
        settings.pop("device")
        settings |= {key: shown_path(settings[key]) for key in ("init", "pretrained") if settings[key]}
        if settings["distillation"] is not None:
            settings["distillation"].pop("teachers")
    if changed := [f"{key} was {then[key]!r} and is {now[key]!r}" for key in now if then[key] != now[key]]:
        raise ConfigError(
            f"{trial.label} began with other settings than the plan has: {', '.join(changed)}. Fix: the settings of "
            f"then; or another `name` for this entry; or delete {trial.out} to train it again"
        )
