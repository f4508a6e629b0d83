"""Results as JSON lines."""

from pathlib import Path

from fer_deploy.live.sinks.base import Picture, Sink
from fer_deploy.live.sinks.result_json import line_from_result
from fer_deploy.live.sinks.whole_lines import STANDARD_OUTPUT, WholeLines
from fer_deploy.vision.types import FrameResult


class JsonlSink(Sink):
    """One JSON object a frame and line, written at once, so that it can be followed and survives a kill."""

    name = "jsonl"
    live_capacity = 256
    needs_pixels = False

    def __init__(self, path: Path, *, num_sources: int = 1) -> None:
        """Create the file, and its folder; an existing file is replaced.

        Args:
            path: of the file; - is standard output.
            num_sources: with several, each line says which source it is about.

        Raises:
            SinkError: the file cannot be created.
        """
        self._with_source = num_sources > 1
        self._path = path
        self._lines = WholeLines(path, fix="another --jsonl")

    def write(self, result: FrameResult, picture: Picture | None) -> bool:
        """Append a line."""
        self._lines.append(line_from_result(result, with_source=self._with_source) + "\n")
        return True

    def close(self) -> None:
        """Close the file."""
        self._lines.close()
        if self._path != STANDARD_OUTPUT:
            self.files = (self._path,)
