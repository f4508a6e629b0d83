"""A headless Chromium, driven over a pipe in its DevTools protocol; one page at a time, its console kept."""

import base64
import contextlib
import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
TIMEOUT_S = 60.0
_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-component-update",
    "--disable-background-networking",
    "--disable-sync",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
)


class Chromium:
    """Speaks with the browser; every wait has an end, and what the page complains about is in `complaints`."""

    def __init__(self, profile: Path) -> None:
        self.complaints: list[str] = []
        self._num_calls = 0
        self._unread = b""
        theirs_in, self._to = os.pipe()
        self._from, theirs_out = os.pipe()
        # The browser reads from descriptor 3 and writes to 4, whatever numbers the pipes have here.
        redirect = f'exec "$0" "$@" 3<&{theirs_in} 4>&{theirs_out}'
        self._log = (profile / "chromium.log").open("wb")
        self._process = subprocess.Popen(
            ["bash", "-c", redirect, str(CHROMIUM), *_FLAGS, f"--user-data-dir={profile}"],
            pass_fds=(theirs_in, theirs_out),
            stdout=self._log,
            stderr=self._log,
        )
        os.close(theirs_in)
        os.close(theirs_out)
        self._session: str | None = None
        self._open_page()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._session = None
        try:
            self.call("Browser.close")
            self._process.wait(TIMEOUT_S)
        finally:
            self._process.kill()
            self._process.wait()
            os.close(self._to)
            os.close(self._from)
            self._log.close()

    def _open_page(self, **where: str) -> None:
        target = self.call("Target.createTarget", url="about:blank", **where)["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    @contextlib.contextmanager
    def new_page(self) -> Iterator[Self]:
        """Work in a page that knows nothing of those before: no storage, no cache, no complaints."""
        self._session = None
        context = self.call("Target.createBrowserContext")["browserContextId"]
        try:
            self._open_page(browserContextId=context)
            self.complaints.clear()
            yield self
        finally:
            self._session = None
            self.call("Target.disposeBrowserContext", browserContextId=context)

    def call(self, method: str, **params: Any) -> Any:
        """Return what the browser answers."""
        self._num_calls += 1
        message = {"id": self._num_calls, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + TIMEOUT_S
        while True:
            answer = self._read(deadline)
            if answer.get("id") == self._num_calls:
                assert "error" not in answer, f"{method}: {answer['error']}"
                return answer["result"]
            self._note(answer)

    def _read(self, deadline: float) -> dict[str, Any]:
        while b"\0" not in self._unread:
            readable, _, _ = select.select([self._from], [], [], max(0.0, deadline - time.monotonic()))
            assert readable, "Chromium does not answer"
            chunk = os.read(self._from, 2**20)
            assert chunk, f"Chromium has ended with {self._process.wait()}"
            self._unread += chunk
        message, _, self._unread = self._unread.partition(b"\0")
        return json.loads(message)  # type: ignore[no-any-return]

    def _note(self, event: dict[str, Any]) -> None:
        method, params = event.get("method"), event.get("params", {})
        if method == "Runtime.exceptionThrown":
            self.complaints.append(json.dumps(params["exceptionDetails"]))
        elif method == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning"):
            self.complaints.append(json.dumps(params["args"]))
        elif method == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
            self.complaints.append(f"{params['entry']['text']} {params['entry'].get('url', '')}")

    def open(self, url: str) -> None:
        """Go there."""
        self.call("Page.navigate", url=url)
        self.wait_for("document.readyState === 'complete'")

    def resize(self, width: int, height: int, *, scale: float = 1, mobile: bool = False) -> None:
        """Give the page a screen of this size."""
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=scale, mobile=mobile
        )

    def value(self, expression: str) -> Any:
        """Return a JavaScript expression's value; promises are awaited."""
        answer = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait_for(self, expression: str, timeout_s: float = 20.0) -> Any:
        """Wait until an expression is true, and return its value."""
        value = self.value(f"""new Promise((done) => {{
            const until = performance.now() + {timeout_s * 1000};
            const look = () => {{
                const value = ({expression});
                if (value || performance.now() > until) done(value); else setTimeout(look, 30);
            }};
            look();
        }})""")
        text = None if value else self.value("document.body.innerText")
        assert value, f"not within {timeout_s} s: {expression}; the page says {text!r}; {self.complaints}"
        return value

    def screenshot(self, path: Path, *, whole: bool = False) -> Path:
        """Write a PNG of the screen, or of the whole page."""
        data = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)["data"]
        path.write_bytes(base64.b64decode(data))
        return path
