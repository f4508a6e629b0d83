"""VideoBatch: analyze several videos, one after another; a failed one does not stop the others."""

import logging
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Final

from fer_deploy.analyze.config import AnalyzeConfig
from fer_deploy.analyze.events.exports import NO_EXPORTS, Exports
from fer_deploy.analyze.models import Models, opened_models
from fer_deploy.analyze.progress import AnalysisProgress
from fer_deploy.analyze.report.summary import Outcome, Summary
from fer_deploy.analyze.result_files import (
    INDEX,
    check_videos_stay,
    is_our_index,
    require_no_file_in_the_way,
    require_no_index_of_others,
)
from fer_deploy.analyze.video_analysis import VideoAnalysis, load_results
from fer_deploy.errors import ConfigError, FerDeployError
from fer_deploy.live.file_names import file_and_stream

if TYPE_CHECKING:
    from fer_deploy.analyze.jobs.messages import Recipe
    from fer_deploy.analyze.jobs.run import SplitRun

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
        num_jobs: int = 1,
        recipe: "Recipe | None" = None,
        exports: Exports = NO_EXPORTS,
    ) -> None:
        """Create the batch.

        Args:
            videos: the files.
            config: settings.
            models: engine and detectors.
            progress: called with the progress.
            names: what the user calls a setting, by its dotted key, for messages.
            num_jobs: processes that analyze segments; 1: this one, with threads.
            recipe: opens the models in these processes; None: from the settings.
            exports: what to compute from the results of each video.

        Raises:
            ConfigError: two videos would share a folder, a file that is not a result would be overwritten, --out is
                a file, or the events or participants do not fit the videos.
        """
        self.index: Path | None = None
        self._names = names
        self._folders = folders_of(videos, config.out)
        check_videos_stay(videos, list(self._folders.values()))
        require_no_file_in_the_way(config.out)
        exports.check(videos, list(self._folders.values()))
        if exports.participants is not None:  # by name: it needs the packages of the extra
            columns = import_module("fer_deploy.analyze.events.segments").segment_columns
            columns(models.engine.spec.labels, exports.participants.columns)
        self._exports = exports
        if len(videos) > 1:
            require_no_index_of_others(config.out)
        self._config, self._models, self._progress = config, models, progress
        self._num_jobs, self._recipe = num_jobs, recipe or partial(opened_models, config)
        self._current: VideoAnalysis | SplitRun | None = None
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

        def note(outcome: Outcome) -> None:
            outcomes.append(outcome)
            on_outcome(outcome)

        if self._num_jobs > 1:
            self._run_split(note, restart=restart)
        else:
            self._run_each(note, restart=restart)
        self._write_index(outcomes)
        return outcomes

    def _run_each(self, note: Callable[[Outcome], None], *, restart: bool) -> None:
        """Analyze one video after another."""
        for video in self._folders:
            self._current = analysis = self._analysis(video)
            if self._stop_requested:
                return
            try:
                result: Summary | Exception | None = analysis.run(restart=restart)
            except Exception as err:  # noqa: BLE001 - Matplotlib and PyArrow raise anything; the other videos continue
                result = err
            if result is None:
                return
            note(self._outcome(video, result))

    def _run_split(self, note: Callable[[Outcome], None], *, restart: bool) -> None:
        """Analyze all videos with worker processes, and note their outcomes in the order of the videos."""
        waiting, results = list(self._folders), dict[Path, Outcome]()

        def on_done(video: Path, result: Summary | Exception) -> None:
            results[video] = self._outcome(video, result)
            while waiting and waiting[0] in results:
                note(results.pop(waiting.pop(0)))

        analyses = {video: self._analysis(video) for video in self._folders}
        jobs = import_module("fer_deploy.analyze.jobs.run")  # by name: it needs the packages of the extra
        with jobs.Crew(self._num_jobs, self._recipe) as crew:
            self._current = run = jobs.SplitRun(analyses, self._config, self._progress, crew=crew)
            if not self._stop_requested:
                run.run(on_done, restart=restart)
        for video in waiting:  # finished before an earlier one when the run was stopped
            if video in results:
                note(results.pop(video))

    def _analysis(self, video: Path) -> VideoAnalysis:
        folder = self._folders[video]
        return VideoAnalysis(video, folder, self._config, self._models, self._progress, names=self._names)

    def _write_index(self, outcomes: Sequence[Outcome]) -> None:
        """Write the page, or update the one of earlier calls; not if there is no report to link to."""
        out = self._config.out
        if any(outcome.summary for outcome in outcomes) and (len(self._folders) > 1 or is_our_index(out)):
            load_results().write_index(out, outcomes)
            self.index = out / INDEX

    def _outcome(self, video: Path, result: Summary | Exception) -> Outcome:
        folder = self._folders[video]
        if isinstance(result, Summary) and self._exports.names:
            result = self._exported(video, folder)
        if isinstance(result, Summary):
            return Outcome(video, folder, result)
        if isinstance(result, FerDeployError):
            return Outcome(video, folder, None, result)
        _LOG.error("%s", video, exc_info=result)
        reason = f"{type(result).__name__}: {result}"
        fault = FerDeployError(f"cannot analyze {video}: {reason}. Fix: report it as a bug, with what was logged")
        fault.__cause__ = result
        return Outcome(video, folder, None, fault)

    def _exported(self, video: Path, folder: Path) -> Summary | Exception:
        """Compute the exports of a finished video; return its new summary, or the error."""
        try:
            writing = import_module("fer_deploy.analyze.events.writing")  # by name: it needs the packages of the extra
            summary: Summary = writing.write_exports(
                folder, video, self._models.engine.spec, self._exports, is_only=len(self._folders) == 1
            )
        except Exception as err:  # noqa: BLE001 - PyArrow raises anything; the other videos continue
            return err
        return summary
