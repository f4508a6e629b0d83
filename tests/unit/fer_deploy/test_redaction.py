import pytest

from fer_deploy.redaction import redacted, without_password, without_passwords


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
        ("rtsp:/bob:secret@cam/1", "rtsp:/***@cam/1"),
        ("rtsp//bob:secret@cam", "rtsp//***@cam"),
        ("bob:secret@cam/1", "***@cam/1"),
        (
            "rtsp://cam/user=me_password=sec_ret_channel=1_stream=0.sdp",
            "rtsp://cam/user=me_password=***_channel=1_stream=0.sdp",
        ),
        ("rtsp://cam/user=me&password=secret&channel=1", "rtsp://cam/user=me&password=***&channel=1"),
        ("http://cam/a?pw=secret", "http://cam/a?pw=***"),
        ("http://cam/a?u=me&p=secret", "http://cam/a?u=me&p=***"),
        ("http://cam/a?pin=secret#x", "http://cam/a?pin=***#x"),
        ("http://cam/a?fps=5&step=2&token=sec_re=t", "http://cam/a?fps=5&step=2&token=***"),
        ("raw:640x480@30:bgr24", "raw:640x480@30:bgr24"),
        ("raw:WIDTHxHEIGHT[@FPS][:bgr24|gray]", "raw:WIDTHxHEIGHT[@FPS][:bgr24|gray]"),
        ("/home/me@work/12:30@home.mp4", "/home/me@work/12:30@home.mp4"),
        ("clip@home.mp4", "clip@home.mp4"),
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


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("no 'rtsp:/b:geheim@h/1', nor (mqtt://b:geheim@h/t)", "no 'rtsp:/***@h/1', nor (mqtt://***@h/t)"),
        ("c.yaml: b:geheim@h is both", "c.yaml: ***@h is both"),
        ("as in mqtt://user:password@host/topic", "as in mqtt://user:password@host/topic"),
        ("Fix: --source raw:640x480@30:gray, see a.yaml: b", "Fix: --source raw:640x480@30:gray, see a.yaml: b"),
    ],
)
def test_addresses_within_a_message(text, shown):
    assert without_passwords(text) == shown
