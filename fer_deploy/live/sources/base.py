"""Source: what every origin of frames offers."""

from abc import ABC, abstractmethod
from collections.abc import Iterator

from fer_deploy.vision.types import Frame


class Source(ABC):
    """A sequence of frames. Opened by its constructor, so that a bad source is known before any thread starts.

    Attributes:
        is_live: frames come at their own time; what cannot be processed in time is dropped. Otherwise nothing is.
        fps: nominal frames per second, for recordings.
    """

    is_live: bool
    fps: float

    @abstractmethod
    def frames(self) -> Iterator[Frame]:
        """Yield frames until the source ends; called once, in the capture thread.

        Raises:
            StreamError: the source broke.
        """

    def close(self) -> None:
        """Release the device or file; called in the capture thread when it ends."""
        return None
