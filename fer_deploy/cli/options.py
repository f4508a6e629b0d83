"""Convert flags to settings, and describe the model that runs: for `live`, `analyze` and `image`."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar

import click

from fer_deploy.engines.config import EngineChoice
from fer_deploy.settings import Settings, load_settings
from fer_deploy.spec import ModelSpec

_FAMILY_IN_WORDS: Final = {
    "ferplus": "answers as FER+'s ten taggers",
    "fer2013": "answers as FER2013's labels",
    None: "its ModelSpec does not say whose labels it learned",
}


S = TypeVar("S", bound=Settings)


class Described(Protocol):
    """What `engine_line` needs of an Engine, or of a Recognizer."""

    @property
    def description(self) -> str:
        """Backend, provider and precision."""

    @property
    def spec(self) -> ModelSpec:
        """The model's contract."""


def engine_line(engine: Described, config: EngineChoice) -> str:
    """Return one line with the model, the engine and the label set."""
    name = config.engine_file.name
    why = f"; {config.choice_line}" if config.choice_line and config.choice_line not in engine.description else ""
    return f"engine: {name}, {engine.description}; {_FAMILY_IN_WORDS[engine.spec.label_set]}{why}"


def in_groups(groups: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Return the dotted key of each flag from the names of the flags in each group; a dot separates nested groups."""
    return {name: f"{group}.{name}" for group, names in groups.items() for name in names}


ANALYSIS_KEYS: Final = in_groups(
    {
        "detection": ("detector", "detector_model", "min_face", "roi", "max_faces", "min_score"),
        "pipeline": ("detect_every", "workers", "max_frames", "anonymize"),
        "pipeline.people": ("smoothing_s", "unsure_below", "baseline", "neutral_share"),
    }
)
"""Keys of the flags of `shared_flags.analysis_options` in the settings."""


def settings_from_flags(
    kind: type[S], path: Path | None, flags: Mapping[str, Any], keys: Mapping[str, str] | None = None
) -> S:
    """Return the settings: defaults, overridden by the YAML file, overridden by the flags of the command that runs.

    Args:
        kind: the settings class.
        path: YAML file, or None.
        flags: by their names in Python; None or () if not given.
        keys: dotted key of each flag whose key is not its name.

    Raises:
        ConfigError: as `load_settings`; a value that was given as a flag is named by its flag.
    """
    return load_settings(kind, path, nested(flags, keys or {}), names=flags_by_key(keys or {}))


def flags_by_key(keys: Mapping[str, str]) -> dict[str, str]:
    """Return the flag of each setting of the command that runs, by its dotted key.

    Args:
        keys: as for `settings_from_flags`.
    """
    command = click.get_current_context().command
    flag_of = {str(param.name): param.opts[-1] for param in command.params if isinstance(param, click.Option)}
    return {keys.get(name, name): flag for name, flag in flag_of.items()}


def nested(flags: Mapping[str, Any], keys: Mapping[str, str]) -> dict[str, Any]:
    """Return the flags nested as in the settings, without those not given.

    Args:
        flags: by name; None or () if not given.
        keys: dotted key of each flag whose key is not its name.
    """
    settings: dict[str, Any] = {}
    for name, value in flags.items():
        if value is None or value == ():
            continue
        *groups, key = keys.get(name, name).split(".")
        inside = settings
        for group in groups:
            inside = inside.setdefault(group, {})
        inside[key] = value
    return settings
