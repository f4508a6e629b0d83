"""Log messages to standard error, without credentials."""

import logging
from typing import Final

from fer_deploy.privacy.redaction import without_passwords

_FORMAT: Final = "%(levelname)s: %(message)s"


class RedactedFormatter(logging.Formatter):
    """Formats log messages and tracebacks with the credentials in URLs hidden."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        return without_passwords(super().format(record))


def log_to_stderr() -> None:
    """Print warnings and errors; do nothing if the program already has a handler."""
    handler = logging.StreamHandler()
    handler.setFormatter(RedactedFormatter(_FORMAT))
    logging.basicConfig(handlers=[handler], level=logging.WARNING)
