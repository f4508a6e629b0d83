"""LinesFile: whole lines under a name of the user, where an older file may be."""

from pathlib import Path

from fer_deploy.live.sinks.unfinished import KeptBeside, replaceable, take_name, unfinished_path
from fer_deploy.live.sinks.whole_lines import STANDARD_OUTPUT, WholeLines


class LinesFile:
    """Writes each line at once, so readers can follow the file.

    If an older file has the name, lines go to `NAME.PID.part.SUFFIX`, which replaces it at the end of the run. The
    older file stays if there is no line, or if lines are missing.
    """

    def __init__(self, path: Path, *, fix: str, what: str = "lines") -> None:
        """Create the file, and its folder.

        Args:
            path: a file, a pipe or a device; - is standard output.
            fix: end of messages, such as "another --jsonl".
            what: the lines, for messages.

        Raises:
            SinkError: the file cannot be created.
        """
        self._path, self._fix, self._what = path, fix, what
        self._part: Path | None = None
        if path != STANDARD_OUTPUT and path.is_file() and path.stat().st_size:
            self._part = unfinished_path(replaceable(path, fix=fix))
        self._lines = WholeLines(self._part or path, fix=fix)

    def append(self, lines: str) -> None:
        """Append one or several lines, all or none of them; raises SinkError as `WholeLines.append`."""
        self._lines.append(lines)

    def close(self, *, is_incomplete: bool) -> tuple[Path, ...]:
        """Close the file, rename it to its final name, and return the finished files.

        Args:
            is_incomplete: whether the run has failed; then it does not replace an older file.

        Raises:
            SinkError: lines are missing.
        """
        self._lines.close()
        if self._part is not None and self._lines.is_empty:
            self._part.unlink(missing_ok=True)
            return ()
        if self._part is not None:
            if is_incomplete or self._lines.has_failed:
                raise KeptBeside(self._path, self._part, self._what)
            take_name(self._part, replaceable(self._path, fix=self._fix))
        return () if self._path == STANDARD_OUTPUT else (self._path,)
