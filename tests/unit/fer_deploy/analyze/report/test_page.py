"""What a label, a file name or an error says is text in the pages, never markup."""

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from unit.fer_deploy.analyze.report.test_timeline import make_summary, make_timelines

from fer_deploy.analyze.report import page
from fer_deploy.analyze.report.page import index_html, report_html
from fer_deploy.analyze.report.summary import Outcome
from fer_deploy.errors import StreamError

HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '"><svg onload=alert(1)>',
    "' onmouseover='alert(1)",
    "</style><script>alert(1)</script>",
    "</title><h1>",
    "{{ 7 * 7 }}",
    "{% raw %}",
    "javascript:alert(1)",
    "&lt;b&gt;",
    "a\x00b\x1b[31m",
    "\u202egnp.exe",
]


class Page(HTMLParser):
    """Tags with the names of their attributes, and all the text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.links: list[str] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag, attrs) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.links += [value for name, value in attrs if name in ("href", "src")]

    def handle_data(self, data) -> None:
        self.text += data


def report_with(words: str) -> str:
    """A report in which everything that others chose says `words`."""
    summary = make_summary(2, video=f"{words}.mp4")
    people = tuple(person.model_copy(update={"shares": {words: 0.7, "unsure": 0.3}}) for person in summary.people)
    changes = {"labels": (words, "bright"), "engine": words, "detector": words, "trouble": words, "people": people}
    summary = summary.model_copy(update=changes)
    timelines = make_timelines(summary)
    del timelines[12]  # one of the two has a row instead of a card
    return report_html(summary, timelines, ["faces.csv"])


def index_with(words: str) -> str:
    folder, summary = Path("out") / words.replace("/", "_"), make_summary(1, video=f"{words}.mp4")
    failed = Outcome(Path(f"{words}.mp4"), folder, None, StreamError(f"{words}. Fix: another"))
    return index_html([Outcome(Path(f"{words}.mp4"), folder, summary), failed])


@pytest.mark.parametrize("make", [report_with, index_with])
@pytest.mark.parametrize("words", HOSTILE)
def test_words_of_others_are_text(make, words):
    made, plain = Page(make(words)), Page(make("plain"))
    assert made.tags <= plain.tags
    assert made.attributes == plain.attributes
    assert not [link for link in made.links if link.startswith("javascript:")]
    assert words.rpartition("/")[2].replace("\x00", "") in made.text.replace("\x00", "").replace("\ufffd", "")


def test_the_index_forbids_scripts_and_loads_nothing():
    html = index_with("plain")
    assert "default-src 'none'; style-src 'unsafe-inline'; img-src data:\">" in html
    assert "script" not in Page(html).tags


@pytest.mark.parametrize("words", ["plain", *HOSTILE])
def test_the_report_allows_its_own_script_only(words):
    html = report_with(words)
    (policy,) = re.findall('http-equiv="Content-Security-Policy" content="([^"]*)"', html)
    assert policy.startswith("default-src 'none'; style-src 'unsafe-inline'; img-src data:; media-src ")
    scripts = re.findall("<script([^>]*)>(.*?)</script>", html, re.DOTALL)
    assert [attributes for attributes, _ in scripts] == [' type="application/json" id="data"', ' type="module"']
    digest = base64.b64encode(hashlib.sha256(scripts[1][1].encode()).digest()).decode()
    assert re.findall("script-src ([^;]*);", policy) == [f"'sha256-{digest}'"]
    assert json.loads(scripts[0][1])["labels"] == [words, "bright"]


def test_the_script_writes_text_and_never_markup():
    folder = Path(page.__file__).parent / "pages" / "script"
    scripts = {path.stem: path.read_text() for path in folder.glob("*.js")}
    assert scripts.keys() == set(page._SCRIPTS)
    markup = r"innerHTML|outerHTML|insertAdjacent|document\.write|\beval\b|Function\(|fetch\(|XMLHttp"
    for text in scripts.values():
        assert not re.findall(markup, text)
