"""AnalysisProgress: who wants to know how far an analysis is."""


class AnalysisProgress:
    """Is told in the main thread; this one says nothing."""

    def begin(self, name: str, *, num_done: int, num_announced: int | None) -> None:
        """A video begins, or goes on after `num_done` frames; `num_announced` is what its container says."""

    def skip(self, index: int, num: int) -> None:
        """Frame `index` of `num` that were analyzed before is decoded and let go."""

    def advance(self, num_frames: int, num_faces: int) -> None:
        """So many frames are analyzed, with so many faces, those of earlier runs among them."""

    def finish(self) -> None:
        """All frames are analyzed; parts are joined, the report is written."""
