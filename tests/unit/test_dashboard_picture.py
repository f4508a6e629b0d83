"""docs/tools/dashboard_picture.py, with answers that a Prometheus 2.42 gave; and what it needs of the dashboards."""

import importlib
import json
import threading
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import ModuleType

import pytest
from unit.deploy_files import DEPLOY
from unit.programs import REPO

BOARDS = {path.stem: json.loads(path.read_text()) for path in sorted((DEPLOY / "grafana").glob("*.json"))}
TIMES = (1796045869.42, 1796045929.42, 1796045989.42, 1796046049.42, 1796046109.42, 1796046169.42, 1796046229.42)
BOX = {"instance": "127.0.0.1:18080", "job": "fer-live"}
MODELS = {
    "detector": "YuNet (face_detection_yunet_2026may.onnx)",
    "engine": "ONNX Runtime 1.32.0, CPUExecutionProvider, int8",
}


def answer(labels: dict[str, str], *values: str) -> dict:
    """Return an answer of one line; it ends at the last of the times."""
    rows = [list(row) for row in zip(TIMES[-len(values) :], values, strict=True)]
    return {"status": "success", "data": {"resultType": "matrix", "result": [{"metric": labels, "values": rows}]}}


RECORDED = {
    'fer_live_fps{job="fer-live"}': answer(BOX, "0.4", "0.8", "1.8", "1.8", "2.2", "2", "1.8"),
    'fer_live_source_up{job="fer-live"}': answer(BOX | {"source": "synthetic"}, *["1"] * 5),
    'fer_live_run_info{job="fer-live"}': answer(BOX | MODELS, *["1"] * 7),
}
EMPTY = {"status": "success", "data": {"resultType": "matrix", "result": []}}
WRONG = {"status": "error", "errorType": "bad_data", "error": "1:6: parse error: unclosed left parenthesis"}


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    pytest.importorskip("matplotlib")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(REPO / "docs" / "tools")
        return importlib.import_module("dashboard_picture")


@pytest.fixture
def server():
    """A Prometheus that knows the recorded answers; its address, and the queries it was asked."""
    asked: list[dict[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            words = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(self.path).query))
            asked.append(words)
            told = WRONG if words["query"].startswith("rate(") else RECORDED.get(words["query"], EMPTY)
            self.send_response(400 if told is WRONG else 200)
            self.end_headers()
            self.wfile.write(json.dumps(told).encode())

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{listening.server_port}", asked
        listening.shutdown()
        thread.join()


def board_of(*titles: str) -> dict:
    board = BOARDS["fer-live"]
    return board | {"panels": [panel for panel in board["panels"] if panel["title"] in titles]}


def texts_of(figure) -> list[str]:
    """Return all texts of a picture, as they are drawn."""
    figure.canvas.draw()
    texts = figure.findobj(importlib.import_module("matplotlib.text").Text)
    for table in figure.findobj(importlib.import_module("matplotlib.table").Table):  # it hides those of its cells
        texts += [cell.get_text() for cell in table.get_celld().values()]
    return [one.get_text() for one in texts]


def drawn(tool, board, address):
    span = tool.Span(TIMES[0], TIMES[-1])
    span_s = type("Minutes", (tool.Span,), {"step_s": lambda self, width: 60.0})(*span)
    return tool.draw(board, tool.Prometheus(address), span_s)


def test_panels_say_what_prometheus_answers(tool, server):
    address, asked = server
    board = board_of("Frames a second", "Sources: state", "Engine and detector")
    figure, empty = drawn(tool, board, address)
    assert empty == []
    assert [words["query"] for words in asked] == list(RECORDED)
    told = texts_of(figure)
    assert {"Frames a second", "1.8 frames/s"} <= set(told)
    assert {"Sources: state", "synthetic 127.0.0.1:18080", "up"} <= set(told)
    assert {"Engine and detector", "box", "engine", "127.0.0.1:18080", *MODELS.values()} <= set(told)
    assert {"Time", "__name__", "job", "Value"} & set(told) == set()
    assert any("Drawn from its queries with Matplotlib, not by Grafana" in text for text in told)


def test_a_line_begins_where_its_answer_begins(tool, server):
    address, _ = server
    (line,) = tool.Prometheus(address).lines(
        'fer_live_source_up{job="fer-live"}', "{{ source }} at {{instance}}", tool.Span(TIMES[0], TIMES[-1]), 60.0
    )
    assert line.name == "synthetic at 127.0.0.1:18080"
    assert [str(value) for value in line.values] == ["nan", "nan", *["1.0"] * 5]
    assert line.last == 1


def test_queries_without_an_answer_are_named(tool, server, tmp_path):
    address, _ = server
    path = tmp_path / "board.json"
    path.write_text(json.dumps(board_of("Running for", "Sources: faults")))  # no faults are no fault
    told = tool.main([str(path), address, str(tmp_path / "board.png"), "--minutes", "6"])
    assert told == 'without an answer:\nRunning for: fer_live_run_seconds{job="fer-live"}'
    assert (tmp_path / "board.png").read_bytes().startswith(b"\x89PNG")


def test_a_query_that_prometheus_refuses_says_why(tool, server):
    with pytest.raises(OSError, match=r"rate\(: 1:6: parse error: unclosed left parenthesis"):
        tool.Prometheus(server[0]).lines("rate(", "", tool.Span(0, 60), 15)


def test_a_server_that_is_not_there_is_told(tool, tmp_path):
    board = DEPLOY / "grafana" / "fer-live.json"
    told = tool.main([str(board), "http://127.0.0.1:1", str(tmp_path / "board.png")])
    assert told.startswith("http://127.0.0.1:1 cannot be asked: ")
    assert "Connection refused" in told
    assert "Fix: the address of a running Prometheus" in told


def test_variables_have_their_values(tool):
    text = 'rate(fer_live_frames_total{job="$job"}[$__rate_interval])'
    assert tool.query_of(text, BOARDS["fer-live"], 15.0) == 'rate(fer_live_frames_total{job="fer-live"}[60s])'
    assert tool.query_of(text, BOARDS["fer-live"], 100.0).endswith("[115s])")


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.0004, "s", "400 µs"),
        (5400, "s", "1.5 hours"),
        (0, "s", "0 s"),
        (2500, "µs", "2.5 ms"),
        (0.256, "percentunit", "25.6%"),
        (12_345, "short", "12,345"),
        (1.25, "suffix:faces/s", "1.25 faces/s"),
        (float("nan"), "short", "NaN"),
    ],
)
def test_units(tool, value, unit, text):
    assert importlib.import_module("drawn_panels").text_of(value, unit) == text


@pytest.mark.parametrize("name", BOARDS)
def test_every_panel_can_be_drawn(tool, name):
    for panel in BOARDS[name]["panels"]:
        assert panel["type"] in tool.PANELS
        importlib.import_module("drawn_panels").text_of(1.0, panel["fieldConfig"]["defaults"]["unit"])
