"""Accounting: count every frame of a video, and check that none was lost."""

from pydantic import BaseModel, ConfigDict

from fer_deploy.errors import StreamError


class Accounting(BaseModel):
    """Counts over a video, up to some frame.

    Attributes:
        num_announced: number of frames according to the container, often an estimate; None if it gives none. Some
            containers count hidden frames, such as those that an edit list skips.
        num_decoded: frames and packets read from the file, from the first one of the range on.
        num_skipped: corrupt ones of these.
        num_analyzed: those of these that have a result.
        num_left_out: the others of these: frames that lie between those of `sample_fps`.
        num_with_faces: analyzed frames with at least one face.
        num_faces: faces over all frames.
        num_missing: announced frames after the last one in a truncated file; 0 if the file is complete, or if the
            announced number is an estimate from its duration. Frames after the end of a range are not missing.
        num_before_start: frames before the range; 0 if the video is analyzed from its beginning.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    num_announced: int | None = None
    num_decoded: int = 0
    num_skipped: int = 0
    num_analyzed: int = 0
    num_with_faces: int = 0
    num_faces: int = 0
    num_missing: int = 0
    num_left_out: int = 0
    num_before_start: int = 0

    def check(self) -> None:
        """Compare the counts, which come from different places.

        Raises:
            StreamError: a frame was lost.
        """
        if self.num_decoded != self.num_analyzed + self.num_skipped + self.num_left_out:
            between = f", {self.num_left_out} between samples" if self.num_left_out else ""
            raise StreamError(
                f"frames do not add up: {self.num_decoded} decoded, {self.num_analyzed} analyzed{between} and "
                f"{self.num_skipped} skipped. Fix: run again; if it stays, report it as a bug"
            )
        if self.num_missing and (self.num_announced or 0) < self.num_before_start + self.num_decoded + self.num_missing:
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
    """Compare the content of the finished files with the accounting.

    Args:
        accounting: of the whole video.
        num_faces: number of faces in each file, by its name.
        num_frames: number of frames in each file, by its name.

    Raises:
        StreamError: a file has too few or too many.
    """
    found = [(name, "faces", num, accounting.num_faces) for name, num in num_faces.items()]
    found += [(name, "frames", num, accounting.num_analyzed) for name, num in num_frames.items()]
    wrong = [f"{name} has {num} {kind}, expected {expected}" for name, kind, num, expected in found if num != expected]
    if wrong:
        raise StreamError(f"the results are incomplete: {'; '.join(wrong)}. Fix: analyze again with --restart")
