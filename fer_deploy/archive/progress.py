"""RunProgress: callbacks for the progress of a run."""


class RunProgress:
    """Called by the thread of the run; this base class does nothing."""

    def begin(self, num_done: int, num_total: int) -> None:
        """The run begins.

        Args:
            num_done: frames of finished segments.
            num_total: frames of the archive.
        """

    def working(self, worker: int, num_frames: int) -> None:
        """A worker has done so many frames of its current segment."""

    def workers(self, num: int, num_nodes: int) -> None:
        """So many workers of a cluster are computing now, on so many nodes."""

    def done(self, num_frames: int) -> None:
        """A segment with so many frames is finished and kept."""

    def skip(self, num_frames: int) -> None:
        """A segment with so many frames was finished by another run."""

    def note(self, text: str) -> None:
        """A fact that the user should know, such as a segment that was given up."""
