"""What is no event is refused, and nothing of it is repeated."""

import json

import pytest

from fer_deploy.live.events.message import EventMessage, MalformedEvent, event_from_json


def test_messages():
    assert event_from_json(b'{"label": " film ", "state": "start"}') == EventMessage("film", "start")
    assert event_from_json('{"label": "größe 1", "state": "mark", "source": 2}'.encode()) == EventMessage(
        "größe 1", "mark", 2
    )


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "not a JSON object"),
        (b"film", "not a JSON object"),
        (b"\xff\xfe", "not a JSON object"),
        (b"[" * 4000, "not a JSON object"),
        (b'["film"]', "not a JSON object"),
        (b'{"label": "film"}', "state must be one of start, end, mark"),
        (b'{"label": "film", "state": ["start"]}', "state must be one of start, end, mark"),
        (b'{"state": "start"}', "the label must be one line of 1 to 100 printable letters"),
        (b'{"label": 3, "state": "start"}', "the label must be"),
        (b'{"label": " ", "state": "start"}', "the label must be"),
        (b'{"label": "a\\nb", "state": "start"}', "the label must be"),
        (json.dumps({"label": 101 * "a", "state": "end"}).encode(), "the label must be"),
        (b'{"label": "film", "state": "end", "source": true}', "source must be the number of a source"),
        (b'{"label": "film", "state": "end", "source": -1}', "source must be the number of a source"),
        (b'{"label": "film", "state": "end", "time_s": 3}', "only label, state and source are known"),
        (b'{"label": "film", "state": "end"}' + 4096 * b" ", "an event has at most 4096 bytes"),
    ],
)
def test_what_is_no_event(body, message):
    with pytest.raises(MalformedEvent, match=message) as caught:
        event_from_json(body)
    assert "Fix: " in str(caught.value)
