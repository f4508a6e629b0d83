"""Accounting: what became of every frame of a video."""

from pydantic import BaseModel, ConfigDict

from fer_deploy.errors import StreamError


class Accounting(BaseModel):
    """Counts over a video, up to some frame.

    Attributes:
        num_announced: frames that the container says it holds, often an estimate; None where it says nothing. Some
            count frames that are not shown, such as those that an edit list hides.
        num_decoded: pictures and packets that were read from the file: what is skipped and what is analyzed.
        num_skipped: of these, the corrupt ones.
        num_analyzed: of these, those for which there is a result.
        num_with_faces: analyzed frames with at least one face.
        num_faces: faces over all frames.
        num_missing: announced for the time after the last frame, which the file does not hold; 0 where it is whole, or
            where the announcement is an estimate from its duration.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    num_announced: int | None = None
    num_decoded: int = 0
    num_skipped: int = 0
    num_analyzed: int = 0
    num_with_faces: int = 0
    num_faces: int = 0
    num_missing: int = 0

    def check(self) -> None:
        """Hold the counts, which come from different places, against one another.

        Raises:
            StreamError: a frame was lost.
        """
        if self.num_decoded != self.num_analyzed + self.num_skipped:
            raise StreamError(
                f"frames do not add up: {self.num_decoded} decoded, {self.num_analyzed} analyzed and "
                f"{self.num_skipped} skipped. Fix: run again; if it stays, report it as a bug"
            )
        if self.num_missing and (self.num_announced or 0) < self.num_decoded + self.num_missing:
            raise StreamError(
                f"frames do not add up: {self.num_announced} announced, {self.num_decoded} decoded and "
                f"{self.num_missing} missing. Fix: run again; if it stays, report it as a bug"
            )
        if not (self.num_with_faces <= self.num_analyzed and self.num_with_faces <= self.num_faces):
            raise StreamError(
                f"faces do not add up: {self.num_faces} in {self.num_with_faces} of {self.num_analyzed} frames. "
                "Fix: run again; if it stays, report it as a bug"
            )


def check_outputs(accounting: Accounting, *, num_faces: dict[str, int], num_frames: dict[str, int]) -> None:
    """Hold what the finished files hold against the accounting.

    Args:
        accounting: of the whole video.
        num_faces: how many faces each file has, by its name.
        num_frames: how many frames.

    Raises:
        StreamError: a file lacks something, or has too much.
    """
    found = [(name, "faces", num, accounting.num_faces) for name, num in num_faces.items()]
    found += [(name, "frames", num, accounting.num_analyzed) for name, num in num_frames.items()]
    wrong = [f"{name} has {num} {kind}, expected {expected}" for name, kind, num, expected in found if num != expected]
    if wrong:
        raise StreamError(f"the results are incomplete: {'; '.join(wrong)}. Fix: analyze again with --restart")
