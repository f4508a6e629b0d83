"""Fetch a file over HTTPS. Imported only for a download: Python's HTTP client takes a while to load."""

import urllib.request


def fetch(address: str, *, max_bytes: int, timeout_s: float) -> bytes:
    """Return at most `max_bytes` of a file.

    Args:
        address: URL.
        max_bytes: further bytes are not read.
        timeout_s: limit for connecting, and for each response of the server.

    Raises:
        OSError: no network, or the server refused; URLError and time-outs are OSErrors.
    """
    with urllib.request.urlopen(address, timeout=timeout_s) as answer:
        content: bytes = answer.read(max_bytes)
    return content
