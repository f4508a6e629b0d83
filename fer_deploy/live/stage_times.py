"""StageTimes: time that each frame of a chunk spent in each stage."""

import time
from collections.abc import Sequence


class StageTimes:
    """Splits a worker's time among stages and frames. Each call counts the time since the previous call.

    Work on one frame counts for that frame, a wait counts in full for each frame, and work on all frames at once is
    split by their shares.
    """

    def __init__(self, num_frames: int) -> None:
        """Start the clock."""
        self.of_frames: list[dict[str, int]] = [{} for _ in range(num_frames)]
        self.worked_ns: dict[str, int] = {}
        self._last_ns = time.monotonic_ns()

    def worked(self, stage: str, frame: int) -> None:
        """Count work on one frame; `frame` is its index in the chunk."""
        passed_ns = self._passed_ns()
        self.worked_ns[stage] = self.worked_ns.get(stage, 0) + passed_ns
        self._add(stage, frame, passed_ns)

    def worked_on_all(self, stage: str, shares: Sequence[int]) -> None:
        """Count work on all frames at once; shares that are all 0 count as equal."""
        passed_ns = self._passed_ns()
        self.worked_ns[stage] = self.worked_ns.get(stage, 0) + passed_ns
        shares = shares if any(shares) else [1] * len(shares)
        for frame, share in enumerate(shares):
            self._add(stage, frame, passed_ns * share // sum(shares))

    def waited(self) -> None:
        """Count a wait for other workers, as the stage "wait"."""
        passed_ns = self._passed_ns()
        for frame in range(len(self.of_frames)):
            self._add("wait", frame, passed_ns)

    def _passed_ns(self) -> int:
        now_ns = time.monotonic_ns()
        passed_ns, self._last_ns = now_ns - self._last_ns, now_ns
        return passed_ns

    def _add(self, stage: str, frame: int, duration_ns: int) -> None:
        durations = self.of_frames[frame]
        durations[stage] = durations.get(stage, 0) + duration_ns
