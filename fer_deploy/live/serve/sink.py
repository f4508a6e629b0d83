"""ServeSink: show the loop's results on a web page."""

from collections import Counter
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING

from fer_deploy.errors import MissingDependencyError
from fer_deploy.live.events.event_log import EventLog
from fer_deploy.live.sinks import Picture, Sink
from fer_deploy.live.stats import LiveSnapshot
from fer_deploy.vision.types import UNREADABLE, UNSURE, FrameResult

if TYPE_CHECKING:
    from fer_deploy.live.serve.server import LiveServer


class ServeSink(Sink):
    """Shows the newest frame and its faces on a web page, the loop's metrics at /metrics, its health at /healthz.

    The page draws the boxes itself, so it needs no annotated picture. Without viewers no JPEG is encoded. A slow page
    gets fewer pictures; it slows down neither the loop nor another page.
    """

    name = "serve"

    def __init__(
        self,
        address: str,
        *,
        token: str | None = None,
        snapshot: Callable[[], LiveSnapshot],
        labels: tuple[str, ...],
        events: EventLog | None = None,
    ) -> None:
        """Start the server; it listens when this returns.

        Args:
            address: PORT, HOST:PORT or [IPv6]:PORT; without a host only this machine can reach it. Port 0 chooses a
                free port.
            token: access token of the page; None: generated if other machines can reach the address.
            snapshot: returns the loop's state; called from the server's threads, at most about twice a second.
            labels: of the model, in its order.
            events: notes the events of POST /events; None: they are refused.

        Raises:
            ConfigError: the address or the token is invalid.
            SinkError: the address is not available.
            MissingDependencyError: a package of the extra `serve` is not installed.
        """
        try:
            module = import_module("fer_deploy.live.serve.server")
        except ModuleNotFoundError as err:
            raise MissingDependencyError(
                f"cannot serve a web page: {err.name} is not installed. Fix: pip install 'fer-toolchain[serve]'"
            ) from err
        # Every label from the start: rate() does not count the first value of a new series.
        self._emotions = Counter(dict.fromkeys((*labels, UNSURE, UNREADABLE), 0))
        self._server: LiveServer = module.LiveServer(
            address, token=token, snapshot=snapshot, labels=tuple(labels), emotions=self._emotions.copy, events=events
        )

    @property
    def url(self) -> str:
        """The page's URL with its token, for programs; do not print or log it."""
        return self._server.url

    @property
    def shown_url(self) -> str:
        """The page's URL to print once: with a generated token, without a token that the user chose."""
        return self._server.shown_url

    def write(self, result: FrameResult, picture: Picture | None) -> bool:
        """Publish the frame and its faces; returns at once. `picture` is not used."""
        for face in result.faces:
            self._emotions[face.shown_label] += 1
        self._server.publish(result)
        return True

    def close(self) -> None:
        """Close the connections of all pages, and free the port."""
        self._server.close()
