"""Reload the config of a live run: what may change while it runs, and what needs a restart."""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from queue import SimpleQueue
from typing import Any, Final

from fer_deploy.detectors import build_detectors, describe_detector
from fer_deploy.detectors.region import Region, pixels_of
from fer_deploy.errors import ConfigError, FerDeployError, with_flags_alone
from fer_deploy.live.config import LiveConfig
from fer_deploy.live.pipeline import LivePipeline
from fer_deploy.live.service.supervision import Supervision
from fer_deploy.live.sources import Source
from fer_deploy.live.threads.worker import Worker
from fer_deploy.settings import Settings

RELOADABLE: Final = ("detection", "pipeline.detect_every", "pipeline.people", "pipeline.crop")
"""Keys and groups that a running loop takes over; everything else needs a restart."""
_JOIN_S: Final = 30.0
"""A detector may be opened meanwhile."""
_log = logging.getLogger(__name__)


class Reload:
    """Waits for `request` in a thread of its own, and then reads the config again.

    A config that cannot be used, or a part of it, is warned of; the run goes on with its settings.
    """

    def __init__(
        self, load: Callable[[], LiveConfig], config: LiveConfig, *, on_message: Callable[[str], None]
    ) -> None:
        """Begin with a config.

        Args:
            load: reads the config again, under the same flags and variables; called from the thread.
            config: of the run.
            on_message: called with a line for the user.
        """
        self._load, self._config, self._say = load, config, on_message
        self._requests: SimpleQueue[bool] = SimpleQueue()  # its put may interrupt itself, as in signal handlers

    def request(self) -> None:
        """Reload soon. Safe in signal handlers, and before `serving`."""
        self._requests.put(True)

    @contextmanager
    def serving(self, pipeline: LivePipeline, sources: Sequence[Source], supervision: Supervision) -> Iterator[None]:
        """Serve requests for a run while the block runs, and report them to its supervision."""

        def serve() -> None:
            while self._requests.get():
                with supervision.reloading():
                    self._reload(pipeline, sources)

        worker = Worker("reload", serve, lambda _, err: _log.error("the config is no longer reloaded: %s", err))
        worker.start()
        try:
            yield
        finally:
            self._requests.put(False)
            worker.join(_JOIN_S)

    def _reload(self, pipeline: LivePipeline, sources: Sequence[Source]) -> None:
        try:
            wanted = self._load()
            effective = merged(self._config, wanted)
            require_region_in_frames(effective.detection.roi, sources)
            is_new_detector = effective.detection != self._config.detection
            detectors = build_detectors(effective.detection) if is_new_detector else None
            pipeline.set_config(effective.pipeline, detectors, self._made_with(effective))
        except FerDeployError as err:
            _log.warning(
                "the config was not reloaded, and the run goes on with its settings: %s", with_flags_alone(str(err))
            )
            return
        applied, refused = differences(self._config, effective), differences(effective, wanted)
        self._config = effective
        words = [f"{key} {_shown(before)} -> {_shown(after)}" for key, before, after in applied]
        self._say(f"config reloaded: {'; '.join(words) or 'nothing that can change in a run has changed'}")
        if refused:
            names = ", ".join(key for key, _, _ in refused)  # no values: some are secret
            _log.warning("the config has another %s; the run keeps its own. Fix: restart it", names)

    def _made_with(self, effective: LiveConfig) -> dict[str, str]:
        """Return what the report and the page say of the new settings."""
        was_corrected = {"correction": "none"} if self._config.pipeline.people.corrects else {}
        detector = {"detector": describe_detector(effective.detection)}
        return detector | was_corrected | effective.pipeline.people.correction_in_words()


def merged(running: LiveConfig, wanted: LiveConfig) -> LiveConfig:
    """Return the running config with those settings of another one that may change in a run."""
    pipeline = {name: getattr(wanted.pipeline, name) for name in ("detect_every", "people", "crop")}
    return running.model_copy(
        update={"detection": wanted.detection, "pipeline": running.pipeline.model_copy(update=pipeline)}
    )


def differences(before: Settings, after: Settings, place: str = "") -> list[tuple[str, Any, Any]]:
    """Return the dotted key of each setting that differs, with both values."""
    found: list[tuple[str, Any, Any]] = []
    for name in type(before).model_fields:
        old, new = getattr(before, name), getattr(after, name)
        if isinstance(old, Settings) and isinstance(new, Settings):
            found += differences(old, new, f"{place}{name}.")
        elif old != new:
            found.append((f"{place}{name}", old, new))
    return found


def require_region_in_frames(roi: Region | None, sources: Sequence[Source]) -> None:
    """Check that a region has pixels in the frames of every source: one without would end that source.

    Raises:
        ConfigError: it has none, or it is in pixels and a source has not delivered a frame yet.
    """
    if roi is None:
        return
    for source in sources:
        if source.first_size is not None:
            pixels_of(roi, source.first_size, source.first_size)
        elif max(roi) > 1:
            raise ConfigError(
                f"the region is in pixels, and {source.name} has delivered no frame to compare it with. "
                "Fix: reload once it has, or give the region in fractions of the frame"
            )


def _shown(value: object) -> str:
    return "none" if value is None else ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
