"""Nothing secret of an address is left, however it is written; and addresses can still be told apart."""

import base64
import json
import random
import string
from urllib.parse import quote

import pytest

from fer_deploy.privacy.redaction import is_ambiguous, redacted, without_password, without_passwords
from fer_deploy.privacy.token_shapes import looks_like_a_token


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("rtsp://cam/live", "rtsp://cam/live"),
        ("rtsp://cam:554/live?channel=1", "rtsp://cam:554/live?channel=***"),
        ("rtsp://[::1]:554/live", "rtsp://[::1]:554/live"),
        ("rtsp://user:secret@cam:554/live", "rtsp://***@cam:554/live"),
        ("rtsp://user@cam/live", "rtsp://***@cam/live"),
        ("rtsp://user:sec@ret@cam/live", "rtsp://***@cam/live"),
        ("rtsp://user:sec/ret@cam/live", "rtsp://***@cam/live"),
        ("rtsp://user:sec?ret@cam/live", "rtsp://***@cam/live"),
        ("rtsp://user:sec#ret@cam/live", "rtsp://***@cam/live"),
        ("rtsp://user:s@e/cret@cam/live", "rtsp://***@cam/live"),
        ("rtsp://user:secret@[::1]:554/live", "rtsp://***@[::1]:554/live"),
        ("http://cam/@home/a?mail=me@there", "http://cam/@home/a?mail=***"),
        ("http://cam/a?token=secret", "http://cam/a?token=***"),
        ("http://cam/a?w=1&api_key=secret&h=2", "http://cam/a?w=***&api_key=***&h=***"),
        ("http://cam/a?usr=me&PWD=secret", "http://cam/a?usr=***&PWD=***"),
        ("http://me:secret@cam/a?Password=secret", "http://***@cam/a?Password=***"),
        ("rtsp:/bob:secret@cam/1", "rtsp:/***@cam/1"),
        ("rtsp//bob:secret@cam", "rtsp//***@cam"),
        ("bob:secret@cam/1", "***@cam/1"),
        (
            "rtsp://cam/user=me_password=sec_ret_channel=1_stream=0.sdp",
            "rtsp://cam/user=***",
        ),
        ("rtsp://cam/user=me&password=secret&channel=1", "rtsp://cam/user=***"),
        ("http://cam/a?pw=secret", "http://cam/a?pw=***"),
        ("http://cam/a?u=me&p=secret", "http://cam/a?u=***&p=***"),
        ("http://cam/a?pin=secret#x", "http://cam/a?pin=***#***"),
        ("http://cam/a?fps=5&step=2&token=sec_re=t", "http://cam/a?fps=***&step=***&token=***"),
        ("rtsp://cam/h264Preview_01_main", "rtsp://cam/h264Preview_01_main"),
        ("rtsp://cam/Streaming/Channels/101/", "rtsp://cam/Streaming/Channels/101/"),
        ("rtsps://cam:7441/aBcDeFgHsEcReT12?enableSrtp", "rtsps://cam:7441/***?***"),
        ("http://cam/secret/9f86d081884c7d65/index.m3u8", "http://cam/secret/***/index.m3u8"),
        ("http://cam/token/geheim/a.m3u8", "http://cam/token/***/a.m3u8"),
        ("http://cam/a;jsessionid=secret/b", "http://cam/a;***/b"),
        ("http://cam/a?secretsecret1234secret=1", "http://cam/a?***=***"),
        ("http://cam/a#tok=secret", "http://cam/a#***"),
        ("http://cam/a?access=secret#secret?secret", "http://cam/a?access=***#***"),
        ("srt://cam:9000?streamid=secret&passphrase=secret", "srt://cam:9000?streamid=***&passphrase=***"),
        ("udp://@239.0.0.1:1234", "udp://@239.0.0.1:1234"),
        ("rtsp://user:1234/secret@cam/live", "rtsp://***@cam/live"),
        ("rtsp://user:12?secret@cam/live", "rtsp://***"),
        ("http://me:secret@cam/a?mail=me@secret", "http://***"),
        ("rtsp://user:secret", "rtsp://***"),
        ("rtsp://user%3Asecret%40cam/1", "rtsp://***/1"),
        ("rtsp://[fe80::1%25eth0]:554/live", "rtsp://[fe80::1%25eth0]:554/live"),
        ("ffmpeg -i rtsp://u:secret@cam/1?x=secret -f null", "ffmpeg -i rtsp://***@cam/1?x=*** -f null"),
        ("cam/live?token=secret&w=1", "cam/live?token=***&w=1"),
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
    assert "secret" not in shown.replace("/secret/***", "")


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
        ("as in mqtt://user:password@host/mine", "as in mqtt://***@host/mine"),
        ("url='http://cam/a?jwt=geheim', ssl=False", "url='http://cam/a?jwt=***', ssl=False"),
        ("rtsp://b:it's_geheim@cam/1: refused", "rtsp://***@cam/1: refused"),
        ("no rtsp://b:geheim 2@cam/1: bad", "no rtsp://***@cam/1: bad"),
        ("no rtsp://cam:554/1 for me@there", "no rtsp://cam:554/1 for me@there"),
        ("GET /live?token=geheim HTTP/1.1", "GET /live?token=*** HTTP/1.1"),
        (
            "SHA-256 9f86d081884c7d659a2feaa0c55ad015 of C:/a/b#1.png",
            "SHA-256 9f86d081884c7d659a2feaa0c55ad015 of C:/a/b#1.png",
        ),
        ("Fix: --source raw:640x480@30:gray, see a.yaml: b", "Fix: --source raw:640x480@30:gray, see a.yaml: b"),
    ],
)
def test_addresses_within_a_message(text, shown):
    assert without_passwords(text) == shown


TOKENS = {
    "hex": ("0123456789abcdef", 32),
    "short hex": ("0123456789abcdef", 16),
    "letters and digits": (string.ascii_letters + string.digits, 20),
    "capitals and digits": (string.ascii_uppercase + string.digits, 20),
    "base64": (string.ascii_letters + string.digits + "-_", 32),
}
PLACES = (
    "rtsp://u:{}@cam/live",
    "rtsp://{}@cam:554/live",
    "rtsp://{}:p@[::1]/live",
    "https://cam/s/{}/index.m3u8",
    "https://cam/s/{}.m3u8",
    "https://cam/s;v=1;id={}/a",
    "http://cam/a?access={}&w=1",
    "http://cam/a?jwt={}",
    "http://cam/a?session={};x=1",
    "http://cam/a?{}",
    "http://cam/a#tok={}",
    "http://cam/#/{}?x",
    "srt://cam:9000?mode=caller&streamid={}",
    "udp://cam:1234?localaddr={}",
    "mqtts://u:{}@cam:8883/faces",
    "rtsp:/u:{}@cam/1",
    "u:{}@cam/1",
)
"""Where an address may carry a secret."""


def pieces(secret):
    """Return what must not be read anywhere: every stretch of six characters."""
    return {secret[i : i + 6] for i in range(len(secret) - 5)}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("kind", TOKENS)
def test_no_stretch_of_a_token_is_shown(place, kind):
    alphabet, length = TOKENS[kind]
    drawn = random.Random(place + kind)
    for _ in range(20):
        secret = "".join(drawn.choices(alphabet, k=length))
        address = place.format(secret)
        texts = (
            without_password(address),
            without_passwords(f"cannot open '{address}': [Errno 5] (see {address}), again {address}."),
            redacted(f"Connection to {address} failed: 401 for {quote(secret, safe='')}", address),
        )
        for text in texts:
            assert not any(piece in text for piece in pieces(secret)), (address, text)


@pytest.mark.parametrize("host", ["cam", "192.168.1.9:554", "[::1]:554", "cam.example.org"])
def test_passwords_with_signs_that_were_not_escaped(host):
    """No part of three letters of the password or of the user is shown, wherever the signs are."""
    drawn = random.Random(host)
    for _ in range(3000):
        password = "".join(
            drawn.choice(["Xyz", "Q7q", "123", "@", "/", "#", "?", ":", "&", "=", "%", ";"]) for _ in range(5)
        )
        address = f"rtsp://Operator:{password}@{host}/live"
        for shown in (without_password(address), without_passwords(f"no {address}, sorry")):
            assert not any(
                word in shown for word in ("Operator", "Xyz", "Q7q", "123" if "123" not in host else "Xyz")
            ), (
                address,
                shown,
            )


def test_every_form_in_which_a_library_may_quote_it():
    password = "pä ss/w@rd\\x"
    address = f"http://operator:{quote(password, safe='')}@cam/a?session=Zx81%2F9"
    login = base64.b64encode(f"operator:{password}".encode()).decode()
    quoted = [
        password,
        quote(password),
        quote(password, safe="").lower(),
        json.dumps(password),
        repr(password),
        "Zx81/9",
        "zx81%2f9",
        f"Basic {login}",
        "operator",
    ]
    text = redacted("; ".join(quoted), address)
    assert text == "; ".join(["***", "***", "***", '"***"', "'***'", "***", "***", "Basic ***", "***"])


def test_short_values_do_not_spoil_a_message():
    text = redacted("after 1 frames of tcp", "rtsp://cam/a?channel=1&transport=tcp")
    assert text == "after 1 frames of tcp"


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("rtsp://u:p@cam/1", False),
        ("rtsp://u:p@ss@cam/1", False),
        ("https://tube/@channel/live", False),
        ("clip@home.mp4", False),
        ("u:p/w@cam", False),
        ("rtsp://u:p/w@cam/1", True),
        ("rtsp://u:p#w@cam/1", True),
        ("rtsp://u:p?w@cam/1", True),
        ("rtsp://u:p@s/w@cam/1", True),
        ("http://cam:80/a?mail=me@there", True),
    ],
)
def test_where_a_password_ends(address, expected):
    assert is_ambiguous(address) is expected


@pytest.mark.parametrize(
    "segment",
    [
        "Streaming",
        "Channels",
        "101",
        "axis-media",
        "media.amp",
        "h264Preview_01_main",
        "realmonitor",
        "ch00_0",
        "videoMain",
        "index.m3u8",
        "face_detection_yunet_2026may.onnx",
        "head-pose-face-detection-female-and-male.gif",
        "camera-front-door",
        "videoinput_1",
        "play1.sdp",
        "ISAPI",
        "2026-11-28",
        "schlafzimmer",
    ],
)
def test_words_are_no_tokens(segment):
    assert not looks_like_a_token(segment)


@pytest.mark.parametrize(
    "segment",
    [
        "550e8400-e29b-41d4-a716-446655440000",
        "9f86d081884c7d65",
        "dG9rZW5zZWNyZXQ",
        "eyJhbGciOiJIUzI1NiJ9.e30.abc",
        "aBcDeFgHiJkLmNoP",
        "QWERTZ1234567890",
        "qzxkvbnmtrwp",
        "123456789012",
        "a1b2c3d4",
        "9f86d081%2D884c7d65",
    ],
)
def test_tokens(segment):
    assert looks_like_a_token(segment)


@pytest.mark.parametrize(
    "address", ["rtmp://h:1/app/live_123456_SECRETkey", "RTMPS://h/a/b/word", "rtmp://u:p@h/app/key"]
)
def test_the_last_segment_of_a_publishers_address_is_its_key(address):
    shown = without_password(address)
    assert shown.endswith("/***")
    assert address.rpartition("/")[2] not in shown


def test_an_application_of_rtmp_is_no_key():
    assert without_password("rtmp://host/app") == "rtmp://host/app"
