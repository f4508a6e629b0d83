"""Events and excluded ranges in the report: made with keys, kept, edited, saved and opened."""

import pytest
from unit.fer_deploy.analyze.report_page import NAME, mark, rows, saved
from unit.fer_deploy.live.serve.chromium import CHROMIUM

from fer_deploy.analyze.events.event_list import Event, read_events

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here: apt-get install chromium")


def test_an_event_gets_its_label_and_can_be_read(page, tmp_path):
    mark(page, "e", 1, 2)
    assert page.value("document.activeElement.id") == "ask-label"
    page.value("document.activeElement.value = 'film \"A\", part 1'")
    page.value("document.getElementById('ask').requestSubmit()")
    assert page.value("document.getElementById('ask').hidden")
    mark(page, "e", 3.5, 2.5)  # backwards
    page.value("document.activeElement.blur()")
    assert rows(page, "events") == [
        ["0:01.000", "0:02.000", 'film "A", part 1'],
        ["0:02.500", "0:03.500", "event 2"],
    ]
    events = read_events(saved(page, "save-events", tmp_path / "events.csv")).events
    assert events == (Event('film "A", part 1', 1.0, 2.0, NAME, 2), Event("event 2", 2.5, 3.5, NAME, 3))


def test_undo_and_reload(page, report_folder):
    mark(page, "x", 1, 2)
    mark(page, "x", 3, 3)  # at least a frame
    assert rows(page, "exclusions") == [["0:01.000", "0:02.000", ""], ["0:03.000", "0:03.100", ""]]
    page.value("keys('z')")  # the end
    page.value("keys('z')")  # the start
    assert rows(page, "exclusions") == [["0:01.000", "0:02.000", ""]]
    page.open((report_folder / "report.html").as_uri())
    assert rows(page, "exclusions") == [["0:01.000", "0:02.000", ""]]


def test_escape_drops_what_was_started(page):
    page.value("keys('+', '+', 'e')")
    assert page.value("document.querySelector('[data-do=event]').className") == "on"
    page.value("keys('Escape')")
    assert page.value("document.querySelector('[data-do=event]').className") == ""
    assert rows(page, "events") == []
    page.wait_for("document.querySelector('.axis').children[0].textContent === '0:00.0'")


def test_cells_are_edited(page, tmp_path):
    mark(page, "x", 1, 2)
    change = """(row, cell, text) => {
        const input = document.querySelectorAll('#exclusions input, #exclusions select')[cell];
        input.value = text;
        input.dispatchEvent(new Event('change'));
        return document.getElementById('said').textContent;
    }"""
    page.value(f"window.change = {change}; 0")
    assert page.value("change(0, 1, '0:03,25')") == ""
    assert page.value("change(0, 0, '3.5')") == "3.5: the end must be after the start"
    assert page.value("change(0, 0, 'soon')").startswith("soon: expected seconds (62.5)")
    page.value("change(0, 2, 'Ann, <i>B</i>')")
    assert saved(page, "save-exclusions", tmp_path / "exclude.csv").read_text().splitlines() == [
        "start,end,person,video",
        f'1.000,3.250,"Ann, <i>B</i>","{NAME.replace(chr(34), chr(34) * 2)}"',
    ]
    page.value("document.querySelectorAll('#exclusions button')[1].click()")
    assert rows(page, "exclusions") == []


@pytest.mark.parametrize(
    ("text", "table", "expected", "told"),
    [
        ("start;end;label;video\n1,5;2;a;\n3;4;b;x.mp4\n", "events", [["0:01.500", "0:02.000", "a"]], "left out: 1"),
        ("onset\tduration\ttrial_type\n0:01\t0.5\t<b>\n", "events", [["0:01.000", "0:01.500", "<b>"]], "1 event"),
        ("start,end,person\n1,2,\n", "exclusions", [["0:01.000", "0:02.000", ""]], "1 excluded range"),
        ("a,b\n1,2\n", "events", [], "has no columns start and end"),
    ],
)
def test_files_are_opened(page, text, table, expected, told):
    page.value(
        f"""(async () => {{ const data = new DataTransfer(); data.items.add(new File([{text!r}], 'a.csv'));
        const input = document.getElementById('csv'); input.files = data.files;
        input.dispatchEvent(new Event('change')); }})()"""
    )
    page.wait_for(f"document.getElementById('said').textContent.includes('{told}')")
    assert rows(page, table) == expected
