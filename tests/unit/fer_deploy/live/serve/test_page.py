"""The page in a real browser."""

from dataclasses import replace

import pytest
from unit.fer_deploy.live.serve.chromium import CHROMIUM, Chromium
from unit.fer_deploy.live.serve.stage import (
    LABELS,
    Actor,
    drawn_results,
    endless,
    make_result,
    make_snapshot,
    serving,
)

from fer_deploy.live.events.event_log import EventLog
from fer_deploy.vision.quality import FaceQuality

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here: apt-get install chromium"),
]

IS_PAINTED = """(canvas => {{
    if (canvas.width < 2) return false;
    const context = new OffscreenCanvas(canvas.width, canvas.height).getContext('2d', {{willReadFrequently: true}});
    context.drawImage(canvas, 0, 0);
    return new Set(context.getImageData(0, 0, canvas.width, canvas.height).data).size > {colors};
}})(document.querySelector('{selector}'))"""
COLOR_AT_THE_END = """(canvas => {
    if (canvas.width < 20) return '';
    const context = new OffscreenCanvas(canvas.width, canvas.height).getContext('2d', {willReadFrequently: true});
    context.drawImage(canvas, 0, 0);
    return [...context.getImageData(canvas.width - 6, canvas.height / 2, 1, 1).data].slice(0, 3).join();
})(document.querySelector('.card .chart'))"""
LIVE = "document.querySelector('#connection').textContent === 'live'"
LOST = "document.querySelector('#connection').textContent === 'disconnected'"
CARDS = "document.querySelectorAll('.card').length"
NOTICE = "(n => n.hidden ? '' : n.textContent)(document.querySelector('#notice'))"
WATCHED = "document.querySelector('#notice').hidden"


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    with Chromium(tmp_path_factory.mktemp("profile")) as running:
        yield running


@pytest.fixture
def browser(chromium):
    with chromium.new_page() as page:
        yield page
        assert page.complaints == []


def painted(selector: str, colors: int = 40) -> str:
    return IS_PAINTED.format(selector=selector, colors=colors)


def text(browser, selector: str) -> str:
    return browser.value(f"document.querySelector({selector!r}).textContent")


def test_picture_people_and_charts_on_a_desk_and_on_a_phone(browser, tmp_path):
    with serving() as sink, Actor(sink, drawn_results()):
        browser.resize(1280, 800)
        browser.open(sink.url)
        browser.wait_for(LIVE)
        browser.wait_for(f"{CARDS} === 2")
        browser.wait_for(painted("#picture", 100))
        browser.wait_for(painted(".card:nth-child(1) .chart"))
        browser.wait_for(painted(".card:nth-child(2) .chart"))
        assert text(browser, ".card .label") in (*LABELS, "unsure")
        assert text(browser, ".card .confidence").endswith(" %")
        assert text(browser, ".card .who") == "person 1"
        tiles = [text(browser, f"#{tile}") for tile in ("fps", "p50", "p95", "faces", "dropped", "reconnects")]
        assert tiles == ["29.9", "8.0 ms", "9.5 ms", "2", "7", "3"]
        assert text(browser, "#made-with") == (
            "engine: ONNX Runtime, int8 · detector: YuNet (a.onnx) · the detector looks at 1 frame in 2"
        )
        assert browser.value("document.querySelector('#picture').ariaLabel").startswith("Live picture with person 1: ")
        assert browser.value("document.querySelector('#source-choice').hidden"), "there is one source only"
        side_by_side = "document.querySelector('.people').getBoundingClientRect().left > innerWidth / 2"
        assert browser.value(side_by_side)
        assert browser.screenshot(tmp_path / "desk.png").stat().st_size > 20_000

        browser.resize(360, 740, scale=2, mobile=True)
        browser.wait_for(f"!({side_by_side})")
        browser.value("document.querySelector('details').open = true")
        browser.wait_for("document.querySelectorAll('#stages td').length > 0")
        assert browser.value("document.documentElement.scrollWidth") == 360, "nothing is wider than the phone"
        browser.wait_for("Math.abs(document.querySelector('#picture').width - 2 * (360 - 24)) <= 2")


def test_a_restarted_server_is_found_again(browser):
    with serving() as sink, Actor(sink, endless(num_people=2)):
        address = sink.url.split("/")[2]
        browser.open(sink.url)
        browser.wait_for(f"{LIVE} && {CARDS} === 2")
    browser.wait_for(f"{LOST} && {NOTICE}.startsWith('Disconnected: the loop has ended. Trying again')")
    browser.complaints.clear()  # Chromium itself tells the console of every refused connection
    with serving(address) as sink, Actor(sink, endless(num_people=1)):
        browser.wait_for(f"{LIVE} && {WATCHED} && {CARDS} === 1")  # another run's people are forgotten
        browser.complaints.clear()


@pytest.mark.slow
def test_people_who_left_fade_and_are_forgotten(browser):
    with serving() as sink:
        browser.open(sink.url)
        with Actor(sink, endless(num_people=3)):
            browser.wait_for(f"{CARDS} === 3")
        with Actor(sink, endless(num_people=1)):
            browser.wait_for("document.querySelectorAll('.card.gone').length === 2")
            assert "seen" in text(browser, ".card.gone .who")
            browser.wait_for(f"{CARDS} === 1")
            assert text(browser, ".card .who") == "person 1"


def test_crowds_are_bounded(browser):
    with serving() as sink, Actor(sink, endless(num_people=30)):
        browser.open(sink.url)
        browser.wait_for(f"{CARDS} === 12")
        browser.wait_for("document.querySelector('#more').textContent === 'and 18 more'")
        assert text(browser, "#faces") == "30"


def test_one_of_several_sources_is_chosen(browser):
    with serving(snapshot=lambda: make_snapshot(names=("door", "yard"))) as sink:
        with Actor(sink, endless(num_people=2)), Actor(sink, endless(num_people=1, source=1)):
            browser.open(sink.url)
            browser.wait_for(f"{LIVE} && {CARDS} === 2")
            browser.wait_for("document.querySelector('#source').length === 2")
            browser.value(
                "(s => {s.value = '1'; s.dispatchEvent(new Event('change'))})(document.querySelector('#source'))"
            )
            browser.wait_for(f"{CARDS} === 1 && {WATCHED}")
        browser.wait_for(f"{NOTICE}.startsWith('yard: running, no picture for ')")


def test_a_picture_of_the_source_before_is_not_shown(browser):
    with serving(snapshot=lambda: make_snapshot(names=("door", "yard"))) as sink, Actor(sink, endless(num_people=2)):
        browser.open(sink.url)
        browser.wait_for(f"{CARDS} === 2 && document.querySelector('#source').length === 2")
        browser.value("""(() => {
            window.decoding = [];
            window.numWanted = 0;
            const decode = createImageBitmap, send = WebSocket.prototype.send;
            window.createImageBitmap = (blob) =>
                new Promise((done) => window.decoding.push(() => done(decode.call(window, blob))));
            WebSocket.prototype.send = function (text) {
                window.numWanted += text.includes('ready');
                send.call(this, text);
            };
        })()""")
        browser.wait_for("window.decoding.length === 1")
        browser.value("""(() => {
            const choice = document.querySelector('#source');
            choice.value = '1';
            choice.dispatchEvent(new Event('change'));
            window.numWanted = 0;
            window.decoding[0]();
        })()""")
        browser.wait_for("window.numWanted === 1")  # which follows the decision
        assert browser.value("document.querySelector('#picture').ariaLabel") == "No picture yet"


def test_a_server_that_takes_the_question_and_is_silent_is_given_up(browser):
    with serving() as sink:
        browser.open(sink.url)
        browser.wait_for(LIVE)
        browser.value("""(() => {
            window.fetch = (place, { signal }) =>
                new Promise((_, fail) => signal.addEventListener('abort', () => fail((window.reason = signal.reason))));
        })()""")
    browser.wait_for("window.reason?.name === 'TimeoutError'")
    browser.complaints.clear()


def test_the_token_leaves_the_address_and_a_wrong_one_is_told(browser):
    with serving(token="correct-horse") as sink:
        sink.write(make_result(), None)
        browser.open(sink.url)
        browser.wait_for(LIVE)
        assert browser.value("location.search") == ""
        assert browser.value("document.cookie") == "", "scripts cannot read it"
        address = sink.url.split("/")[2]
    browser.wait_for(LOST)
    with serving(address, token="another-horse"):
        browser.wait_for(f"{NOTICE}.includes('the token has changed: open the address that fer-deploy live printed')")
    browser.complaints.clear()


def test_a_hidden_page_asks_for_no_pictures(browser):
    with serving() as sink, Actor(sink, endless()):
        browser.open(sink.url)
        browser.wait_for(LIVE)
        browser.value("""(() => {
            window.sent = [];
            window.heard = 0;
            const send = WebSocket.prototype.send;
            WebSocket.prototype.send = function (text) {
                if (window.sent.push(text) === 1) this.addEventListener('message', () => window.heard++);
                send.call(this, text);
            };
        })()""")
        browser.wait_for("window.sent.length > 3")
        browser.value("""(() => {
            Object.defineProperty(document, 'hidden', {value: true, configurable: true});
            window.sent.length = window.heard = 0;
        })()""")
        browser.wait_for("window.heard >= 15")
        assert browser.value("window.sent.length") == 0
        browser.value("delete document.hidden; document.dispatchEvent(new Event('visibilitychange'))")
        browser.wait_for("window.sent.length > 3")


def test_an_unreadable_face_says_why_and_shows_no_emotion(browser):
    quality = FaceQuality(9.0, 1.0, 120.0, 40.0, 0.5, None, (0.0, 0.0, 0.0, 0.0), 0.9, True)
    unreadable = (
        replace(
            one, faces=tuple(replace(face, quality=quality, is_sure=False, is_readable=False) for face in one.faces)
        )
        for one in endless(num_people=1)
    )
    with serving() as sink, Actor(sink, unreadable):
        browser.open(sink.url)
        browser.wait_for(f"{CARDS} === 1")
        browser.wait_for("document.querySelector('.card .label').textContent === 'unreadable'")
        assert text(browser, ".card .flags") == "small face, low sharpness"
        assert text(browser, ".card .confidence") == ""
        brown = "rgb(84, 60, 12)"
        assert browser.value("getComputedStyle(document.querySelector('.card .swatch')).backgroundColor") == brown
        browser.wait_for(COLOR_AT_THE_END + " === '84,60,12'")


BUTTON = "[...document.querySelectorAll('#events button')].find(one => one.textContent.startsWith({text!r}))"


def test_buttons_note_events(browser, tmp_path):
    log = EventLog(tmp_path / "events.csv", names=("film",))
    log.note_frame(0, 3.0, 0, is_live=False)
    with serving(events=log) as sink, Actor(sink, endless()):
        browser.open(sink.url)
        browser.wait_for("!!" + BUTTON.format(text="Start film"))
        browser.value(BUTTON.format(text="Start film") + ".click()")
        browser.wait_for("!!" + BUTTON.format(text="End film"))
        assert text(browser, "#noted") == "film: 3.00 s"
        log.note_frame(0, 5.5, 0, is_live=False)
        browser.value(BUTTON.format(text="End film") + ".click()")
        browser.value(BUTTON.format(text="Mark this moment") + ".click()")
        browser.wait_for("document.querySelector('#noted').textContent.startsWith('mark')")
    log.close(is_incomplete=False)
    rows = sorted((tmp_path / "events.csv").read_text().splitlines()[1:])
    assert rows == ["3.0,5.5,film,event,0,,", "5.5,6.5,mark,mark,0,,"]


def test_without_events_there_are_no_buttons(browser):
    with serving() as sink, Actor(sink, endless()):
        browser.open(sink.url)
        browser.wait_for(f"{CARDS} === 1")
        assert browser.value("document.querySelector('#events').hidden")


PLACED = """import('/tags.js').then(({{ placeTags }}) => {{
    const shared = {{ label: {label!r}, confidence: 0.62, readable: {label!r} !== "unreadable" }};
    const faces = {boxes}.map((box, index) => ({{ person: index + 1, ...shared, box }}));
    const size = {{ width: {size[0]}, height: {size[1]}, gap: 3, pad: 5, bar: 20, measure: (text) => 8 * text.length }};
    return placeTags(faces, size);
}})"""


@pytest.mark.parametrize(
    ("size", "boxes", "label", "texts"),
    [
        ((640, 480), [[100, 100, 160, 180], [130, 300, 190, 380]], "happy", ["#1 happy 62 %", "#2 happy 62 %"]),
        ((640, 480), [[0, 0, 60, 70], [580, 410, 640, 480]], "happy", ["#1 happy 62 %", "#2 happy 62 %"]),
        ((320, 200), [[20, 60, 70, 130], [90, 60, 140, 130], [160, 60, 210, 130]], "happy", None),
        ((320, 200), [[100, 60, 160, 130]], "contempt-or-disdain", ["#1 contempt-or-d… 62 %"]),
        ((320, 200), [[0, 0, 320, 200]], "happy", ["#1 happy 62 %"]),
        ((320, 200), [[100, 60, 160, 130]], "unreadable", ["#1 unreadable"]),
        ((40, 20), [[0, 0, 20, 20], [20, 0, 40, 20]], "happy", [None, None]),
    ],
)
def test_tags_cover_neither_faces_nor_one_another(browser, size, boxes, label, texts):
    with serving() as sink, Actor(sink, endless()):
        browser.open(sink.url)
        tags = browser.value(PLACED.format(boxes=boxes, label=label, size=size))
        browser.complaints.clear()
    assert texts is None or [tag and tag["text"] for tag in tags] == texts
    places = [(tag["x"], tag["y"], tag["x"] + tag["width"], tag["y"] + tag["height"]) for tag in tags if tag]
    assert all(x1 >= 0 and y1 >= 0 and x2 <= size[0] and y2 <= size[1] for x1, y1, x2, y2 in places)
    taken = places if boxes == [[0, 0, *size]] else [*places, *boxes]  # a face that fills the picture has it inside
    assert not any(
        one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
        for number, one in enumerate(places)
        for other in taken[number + 1 :]
    )
