"""VideoBatch: analyze several videos, one after another; a failed one does not stop the others."""

import logging
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from fer_deploy.analyze.config import AnalyzeConfig
from fer_deploy.analyze.progress import AnalysisProgress
from fer_deploy.analyze.report.summary import Outcome
from fer_deploy.analyze.result_files import (
    INDEX,
    check_videos_stay,
    is_our_index,
    require_no_file_in_the_way,
    require_no_index_of_others,
)
from fer_deploy.analyze.video_analysis import Models, VideoAnalysis, load_results
from fer_deploy.errors import ConfigError, FerDeployError
from fer_deploy.live.file_names import file_and_stream

_LOG = logging.getLogger(__name__)
_NO_FOLDERS: Final = ("", ".", "..", INDEX)
"""Names that are reserved in --out."""


def folders_of(videos: Sequence[Path], out: Path) -> dict[Path, Path]:
    """Return the folder of each video's results.

    Raises:
        ConfigError: two videos differ only in their suffix, or a name is reserved, or it is not UTF-8.
    """
    for path in (*videos, out):
        _require_unicode(path)
    names = {video: _folder_name(video) for video in videos}
    for video, name in names.items():
        if name.lower() in _NO_FOLDERS:
            raise ConfigError(
                f"cannot analyze {video}: its results would be in a folder of the name {name!r}. Fix: rename it"
            )
    num_of_name = Counter(names[video] for video in videos)
    shared = [video for video in videos if num_of_name[names[video]] > 1]
    if shared:
        raise ConfigError(
            f"{' and '.join(map(str, shared))} would share the folder {out / names[shared[0]]}. Fix: one --out for each"
        )
    return {video: out / name for video, name in names.items()}


def _folder_name(video: Path) -> str:
    """Return the file's name without its suffix, with the number of the stream if the user chose one."""
    file, stream = file_and_stream(video)
    return file.stem if stream is None else f"{file.stem}-stream{stream}"


def _require_unicode(path: Path) -> None:
    """Refuse a path that is not UTF-8, which tables, pages and JSON cannot store; it has lone surrogates."""
    try:
        str(path).encode()
    except UnicodeEncodeError as err:
        shown = os.fsencode(path).decode(errors="backslashreplace")
        raise ConfigError(f"cannot analyze into or from {shown}: the path is not UTF-8. Fix: rename it") from err


class VideoBatch:
    """Analyzes videos, each into a folder of its name. With more than one, index.html links to their reports.

    Attributes:
        index: path of that page; None if none was written.
    """

    def __init__(
        self,
        videos: Sequence[Path],
        config: AnalyzeConfig,
        models: Models,
        progress: AnalysisProgress,
        *,
        names: Mapping[str, str] | None = None,
    ) -> None:
        """Create the batch; the arguments are those of `VideoAnalysis`, for several videos.

        Raises:
            ConfigError: two videos would share a folder, a file that is not a result would be overwritten, or --out is
                a file.
        """
        self.index: Path | None = None
        self._names = names
        self._folders = folders_of(videos, config.out)
        check_videos_stay(videos, list(self._folders.values()))
        require_no_file_in_the_way(config.out)
        if len(videos) > 1:
            require_no_index_of_others(config.out)
        self._config, self._models, self._progress = config, models, progress
        self._current: VideoAnalysis | None = None
        self._stop_requested = False

    def stop(self) -> None:
        """End the run. Takes no lock: safe in signal handlers."""
        self._stop_requested = True
        if self._current is not None:
            self._current.stop()

    @property
    def num_frames_kept(self) -> int:
        """Frames of the current video that the next run need not analyze again."""
        return 0 if self._current is None else self._current.num_frames_kept

    def run(self, on_outcome: Callable[[Outcome], None], *, restart: bool = False) -> list[Outcome]:
        """Analyze the videos and return their outcomes; fewer than videos if `stop` was called.

        Args:
            on_outcome: called with each outcome as soon as it is known.
            restart: delete the results of earlier runs.

        Raises:
            SinkError: index.html cannot be written.
        """
        outcomes: list[Outcome] = []
        for video, folder in self._folders.items():
            outcome = self._outcome(video, folder, restart=restart)
            if outcome is None:
                break
            outcomes.append(outcome)
            on_outcome(outcome)
        self._write_index(outcomes)
        return outcomes

    def _write_index(self, outcomes: Sequence[Outcome]) -> None:
        """Write the page, or update the one of earlier calls; not if there is no report to link to."""
        out = self._config.out
        if any(outcome.summary for outcome in outcomes) and (len(self._folders) > 1 or is_our_index(out)):
            load_results().write_index(out, outcomes)
            self.index = out / INDEX

    def _outcome(self, video: Path, folder: Path, *, restart: bool) -> Outcome | None:
        self._current = VideoAnalysis(video, folder, self._config, self._models, self._progress, names=self._names)
        if self._stop_requested:
            return None
        try:
            summary = self._current.run(restart=restart)
        except FerDeployError as err:
            return Outcome(video, folder, None, err)
        except Exception as err:  # noqa: BLE001 - Matplotlib and PyArrow raise anything; the other videos continue
            _LOG.exception("%s", video)
            reason = f"{type(err).__name__}: {err}"
            fault = FerDeployError(f"cannot analyze {video}: {reason}. Fix: report it as a bug, with what was logged")
            fault.__cause__ = err
            return Outcome(video, folder, None, fault)
        return None if summary is None else Outcome(video, folder, summary)
