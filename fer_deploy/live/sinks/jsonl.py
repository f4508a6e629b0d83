"""JsonlSink: write results as JSON lines."""

from pathlib import Path

from fer_deploy.live.sinks.base import Picture, Sink
from fer_deploy.live.sinks.result_json import line_from_result
from fer_deploy.live.sinks.unfinished import KeptBeside, replaceable, take_name, unfinished_path
from fer_deploy.live.sinks.whole_lines import STANDARD_OUTPUT, WholeLines
from fer_deploy.vision.types import FrameResult


class JsonlSink(Sink):
    """Writes one JSON object a frame, on one line. Each line is written at once, so readers can follow the file.

    If an older file has the name, lines go to `NAME.PID.part.SUFFIX`, which replaces it at the end of the run. The
    older file stays if there is no line, or if lines are missing.
    """

    name = "jsonl"
    live_capacity = 256
    needs_pixels = False

    def __init__(self, path: Path, *, num_sources: int = 1) -> None:
        """Create the file, and its folder.

        Args:
            path: a file, a pipe or a device; - is standard output.
            num_sources: with several, each line names its source.

        Raises:
            SinkError: the file cannot be created.
        """
        self._with_source = num_sources > 1
        self._path = path
        self._part: Path | None = None
        if path != STANDARD_OUTPUT and path.is_file() and path.stat().st_size:
            self._part = unfinished_path(replaceable(path, fix="another --jsonl"))
        self._lines = WholeLines(self._part or path, fix="another --jsonl")

    def write(self, result: FrameResult, picture: Picture | None) -> bool:
        """Append a line."""
        self._lines.append(line_from_result(result, with_source=self._with_source) + "\n")
        return True

    def close(self) -> None:
        """Close the file, and rename it to its final name.

        Raises:
            SinkError: lines are missing.
        """
        self._lines.close()
        if self._part is not None and self._lines.is_empty:
            self._part.unlink(missing_ok=True)
            return
        if self._part is not None:
            self._replace_older(self._part)
        if self._path != STANDARD_OUTPUT:
            self.files = (self._path,)

    def _replace_older(self, part: Path) -> None:
        if self.is_incomplete or self._lines.has_failed:
            raise KeptBeside(self._path, part, "lines")
        take_name(part, replaceable(self._path, fix="another --jsonl"))
