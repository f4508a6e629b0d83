"""Exports: files that are computed from the finished results of a video, without a network."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from fer_deploy.analyze.events.event_list import EventList
from fer_deploy.analyze.events.exclusions import Exclusion, ExclusionList
from fer_deploy.analyze.events.participants import Participants
from fer_deploy.analyze.report.protocol import FROM_INTERVALS, FROM_SEGMENTS
from fer_deploy.analyze.report.summary import Summary
from fer_deploy.analyze.result_files import INTERVALS, PROTOCOL, SEGMENTS, WIDE, check_videos_stay
from fer_deploy.errors import ConfigError

SEGMENT_TABLES: Final = (f"{SEGMENTS}.csv", f"{SEGMENTS}.parquet", WIDE)
_INTERVAL_FILES: Final = (f"{INTERVALS}.tsv", f"{INTERVALS}.eaf")


class Exports(NamedTuple):
    """What to write beside the results of each video.

    Attributes:
        events: writes the segments.
        participants: columns for the segments; needs events.
        intervals: whether to write the intervals of shown emotions.
        protocol: whether to write the protocol.
        exclusions: ranges that are left out of segments and intervals; needs one of them.
    """

    events: EventList | None = None
    participants: Participants | None = None
    intervals: bool = False
    protocol: bool = False
    exclusions: ExclusionList | None = None

    @property
    def names(self) -> list[str]:
        """The files that are written."""
        names = list(SEGMENT_TABLES) if self.events else []
        names += [*_INTERVAL_FILES] if self.intervals else []
        return names + ([PROTOCOL] if self.protocol else [])

    def check(self, videos: Sequence[Path], folders: Sequence[Path]) -> None:
        """Check what can be checked before the analysis.

        Raises:
            ConfigError: participants without events, exclusions without events and intervals, a video has no events or
                not one participant, or an input is a file that the analysis writes.
        """
        if self.participants is not None and self.events is None:
            raise ConfigError(
                f"participants ({self.participants.path}) are columns of the segments, but there are no events. "
                "Fix: add --events events.csv"
            )
        if self.exclusions is not None and self.events is None and not self.intervals:
            raise ConfigError(
                f"the ranges of {self.exclusions.path} are left out of segments and intervals, but neither is written. "
                "Fix: add --events events.csv, or --intervals"
            )
        inputs = [known for known in (self.events, self.participants, self.exclusions) if known is not None]
        check_videos_stay([known.path for known in inputs], folders)
        for video in videos:
            for known in inputs:
                known.of_video(video)

    def excluded(self, video: Path) -> tuple[Exclusion, ...]:
        """Return the excluded ranges of a video."""
        return () if self.exclusions is None else self.exclusions.of_video(video)

    def outdated(self, folder: Path, summary: Summary) -> dict[str, list[str]]:
        """Return the older exports in a folder that do not fit the results of this call, by the flag that writes them.

        Segments and intervals do not fit if the summary does not have their digest, since people were named after
        them, or if this call leaves out other ranges. A protocol does not fit if it lacks the digest of a table or of
        a file that they were computed with.

        Args:
            folder: of a video.
            summary: of the video, after this call.
        """
        found = {}
        kinds = (("--events", SEGMENT_TABLES, FROM_SEGMENTS), ("--intervals", _INTERVAL_FILES, FROM_INTERVALS))
        for flag, names, use in kinds:
            if not summary.tables.get(names[0]) or self._leaves_out_others(summary, use):
                found[flag] = [*names]
        protocol = folder / PROTOCOL
        if protocol.is_file():
            text = protocol.read_text(encoding="utf-8", errors="replace")
            if not all(digest in text for digest in (*summary.inputs.values(), *summary.tables.values())):
                found["--protocol"] = [PROTOCOL]
        there = {
            flag: [name for name in names if name not in self.names and (folder / name).is_file()]
            for flag, names in found.items()
        }
        return {flag: names for flag, names in there.items() if names}

    def _leaves_out_others(self, summary: Summary, use: str) -> bool:
        """Return whether this call leaves out other ranges than those named in the summary for a use."""
        if self.events is None and not self.intervals:
            return False
        before = next((digest for name, digest in summary.inputs.items() if name.partition(": ")[0] == use), None)
        return before != (None if self.exclusions is None else self.exclusions.sha256)


NO_EXPORTS: Final = Exports()
