import logging
import sys

from fer_deploy.cli.terminal.redacted_text import RedactedFormatter


def test_messages_arguments_and_tracebacks_are_redacted():
    try:
        raise OSError("no answer from rtsp://bob:geheim@cam/1?jwt=geheim")
    except OSError:
        failure = sys.exc_info()
    record = logging.LogRecord("aiohttp", logging.ERROR, "", 1, "lost %s", ("http://cam/a#tok=geheim",), failure)
    text = RedactedFormatter("%(levelname)s: %(message)s").format(record)
    assert text.splitlines()[0] == "ERROR: lost http://cam/a#***"
    assert text.splitlines()[-1] == "OSError: no answer from rtsp://***@cam/1?jwt=***"
    assert "geheim" not in text.replace('raise OSError("no answer from rtsp://bob:geheim@cam/1?jwt=geheim")', "")
