"""AnalysisProgress: callbacks for the progress of an analysis."""


class AnalysisProgress:
    """Called in the main thread; this base class does nothing."""

    def begin(self, name: str, *, num_done: int, num_announced: int | None) -> None:
        """A video begins, or continues after `num_done` frames; `num_announced` is its container's number of frames."""

    def note(self, text: str) -> None:
        """A fact that the user should know, such as why a video is read in order."""

    def skip(self, index: int, num: int) -> None:
        """Frame `index` of `num` that an earlier run analyzed is skipped."""

    def advance(self, num_frames: int, num_faces: int) -> None:
        """Frames and faces analyzed so far, including those of earlier runs."""

    def finish(self) -> None:
        """All frames are analyzed; joining the parts and writing the report begins."""
