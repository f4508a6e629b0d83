"""Log messages as text on standard error, without credentials."""

import logging
from typing import Final

from fer_deploy.privacy.redaction import without_passwords

_FORMAT: Final = "%(levelname)s: %(message)s"


class RedactedFormatter(logging.Formatter):
    """Formats log messages and tracebacks with the credentials in URLs hidden."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        return without_passwords(super().format(record))


def text_handler() -> logging.Handler:
    """Return the handler of log messages as text."""
    handler = logging.StreamHandler()
    handler.setFormatter(RedactedFormatter(_FORMAT))
    return handler
