import pytest

from fer_deploy.live.sources.address import redacted, without_password


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("rtsp://cam/live", "rtsp://cam/live"),
        ("rtsp://cam:554/live?channel=1", "rtsp://cam:554/live?channel=1"),
        ("rtsp://[::1]:554/live", "rtsp://[::1]:554/live"),
        ("rtsp://user:secret@cam:554/live", "rtsp://***@cam:554/live"),
        ("rtsp://user@cam/live", "rtsp://***@cam/live"),
        ("rtsp://user:sec@ret@cam/live", "rtsp://***@cam/live"),
        ("rtsp://user:sec/ret@cam/live", "rtsp://***@cam/live"),
        ("rtsp://user:sec?ret@cam/live", "rtsp://***@cam/live"),
        ("rtsp://user:sec#ret@cam/live", "rtsp://***@cam/live"),
        ("rtsp://user:s@e/cret@cam/live", "rtsp://***@cam/live"),
        ("rtsp://user:secret@[::1]:554/live", "rtsp://***@[::1]:554/live"),
        ("http://cam/@home/a?mail=me@there", "http://cam/@home/a?mail=me@there"),
        ("http://cam/a?token=secret", "http://cam/a?token=***"),
        ("http://cam/a?w=1&api_key=secret&h=2", "http://cam/a?w=1&api_key=***&h=2"),
        ("http://cam/a?usr=me&PWD=secret", "http://cam/a?usr=me&PWD=***"),
        ("http://me:secret@cam/a?Password=secret", "http://***@cam/a?Password=***"),
        ("clip.mp4", "clip.mp4"),
        ("0", "0"),
    ],
)
def test_what_is_shown(address, shown):
    assert without_password(address) == shown
    assert "secret" not in shown


def test_message_that_quotes_the_address():
    address = "http://me:p%40ss@cam/a?token=abc"
    message = "cannot open http://me:p%40ss@cam/a?token=abc: login me:p@ss was refused, password p@ss, token abc"
    assert redacted(message, address) == (
        "cannot open http://***@cam/a?token=***: login *** was refused, password ***, token ***"
    )


def test_message_about_an_address_without_secrets():
    assert redacted("cannot open rtsp://cam/a: timeout", "rtsp://cam/a") == "cannot open rtsp://cam/a: timeout"
