"""ServeSink: the loop's results to a web page."""

from collections import Counter
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING

from fer_deploy.errors import MissingDependencyError
from fer_deploy.live.sinks import Picture, Sink
from fer_deploy.live.stats import LiveSnapshot
from fer_deploy.vision.types import UNSURE, FrameResult

if TYPE_CHECKING:
    from fer_deploy.live.serve.server import LiveServer


class ServeSink(Sink):
    """Shows the newest frame and its faces on a web page, the loop's metrics at /metrics, its health at /healthz.

    The page draws the boxes itself, so that it needs no annotated picture; and nothing is compressed while nobody
    watches. A slow page is sent fewer pictures; it holds up neither the loop nor another page.
    """

    name = "serve"

    def __init__(
        self, address: str, *, token: str | None = None, snapshot: Callable[[], LiveSnapshot], labels: tuple[str, ...]
    ) -> None:
        """Start the server; it listens when this returns.

        Args:
            address: PORT, HOST:PORT or [IPv6]:PORT; this machine alone can reach it unless a host says otherwise.
                Port 0 takes a free one.
            token: what a browser has to know. For an address that other machines reach one is made if none is given.
            snapshot: the loop's state; called from the server's threads, at most about twice a second.
            labels: of the model, in its order.

        Raises:
            ConfigError: the address or the token is none.
            SinkError: the address cannot be had.
            MissingDependencyError: a package of the extra `serve` is not installed.
        """
        try:
            module = import_module("fer_deploy.live.serve.server")
        except ModuleNotFoundError as err:
            raise MissingDependencyError(
                f"cannot serve a web page: {err.name} is not installed. Fix: pip install 'fer-toolchain[serve]'"
            ) from err
        # Every label from the start: a series that appears with its first face hides that face from rate().
        self._emotions = Counter(dict.fromkeys((*labels, UNSURE), 0))
        self._server: LiveServer = module.LiveServer(
            address, token=token, snapshot=snapshot, labels=tuple(labels), emotions=self._emotions.copy
        )

    @property
    def url(self) -> str:
        """The page's address with its token: for programs, not to be printed or logged."""
        return self._server.url

    @property
    def shown_url(self) -> str:
        """The page's address to print once: with a token that was generated, without one that the user chose."""
        return self._server.shown_url

    def write(self, result: FrameResult, picture: Picture | None) -> bool:
        """Hand the frame and its faces over; returns at once. `picture` is not looked at."""
        for face in result.faces:
            self._emotions[face.shown_label] += 1
        self._server.publish(result)
        return True

    def close(self) -> None:
        """Take leave of all pages, and free the port."""
        self._server.close()
