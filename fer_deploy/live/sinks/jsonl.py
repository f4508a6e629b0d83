"""JsonlSink: write results as JSON lines."""

from pathlib import Path

from fer_deploy.live.sinks.base import Picture, Sink
from fer_deploy.live.sinks.lines_file import LinesFile
from fer_deploy.live.sinks.result_json import line_from_result
from fer_deploy.vision.types import FrameResult


class JsonlSink(Sink):
    """Writes one JSON object a frame, on one line; see `LinesFile`."""

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
        self._lines = LinesFile(path, fix="another --jsonl")

    def write(self, result: FrameResult, picture: Picture | None) -> bool:
        """Append a line."""
        self._lines.append(line_from_result(result, with_source=self._with_source) + "\n")
        return True

    def close(self) -> None:
        """Close the file, and rename it to its final name.

        Raises:
            SinkError: lines are missing.
        """
        self.files = self._lines.close(is_incomplete=self.is_incomplete)
