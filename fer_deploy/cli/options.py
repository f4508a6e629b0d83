"""The way from flags to settings, and the line that says which model runs: for `live`, `analyze` and `image`."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

from fer_deploy.engines.config import EngineChoice
from fer_deploy.spec import ModelSpec

ANALYSIS_GROUPS: Final[Mapping[str, Sequence[str]]] = {
    "detection": ("detector", "detector_model", "min_face", "roi", "max_faces", "min_score"),
    "pipeline": ("detect_every", "workers", "max_frames"),
    "pipeline.people": ("smoothing_s", "unsure_below"),
}
"""Which group of the settings the flags of `flags.shared.analysis_options` belong to."""


_FAMILY_IN_WORDS: Final = {
    "ferplus": "answers as FER+'s ten taggers",
    "fer2013": "answers as FER2013's labels",
    None: "its ModelSpec does not say whose labels it learned",
}


class Described(Protocol):
    """What `engine_line` needs of an Engine, or of a Recognizer."""

    @property
    def description(self) -> str:
        """Backend, provider and precision."""

    @property
    def spec(self) -> ModelSpec:
        """The model's contract."""


def engine_line(engine: Described, config: EngineChoice) -> str:
    """Return what runs, in a line: the model, the engine, and whose answer it gives."""
    name = config.engine_file.name
    why = f"; {config.choice_line}" if config.choice_line and config.choice_line not in engine.description else ""
    return f"engine: {name}, {engine.description}; {_FAMILY_IN_WORDS[engine.spec.label_set]}{why}"


def nested(flags: Mapping[str, Any], groups: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Return the flags in the groups that the settings have; what was not given is left out.

    Args:
        flags: by name; None or () means not given.
        groups: names of flags by group, groups within groups with a dot. What is in none stays at the top.
    """
    group_of = {name: group for group, names in groups.items() for name in names}
    settings: dict[str, Any] = {}
    for name, value in flags.items():
        if value is None or value == ():
            continue
        inside = settings
        for group in filter(None, group_of.get(name, "").split(".")):
            inside = inside.setdefault(group, {})
        inside[name] = value
    return settings
