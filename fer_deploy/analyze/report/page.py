"""Render report.html and index.html with Jinja; each is a single file that loads no other, except the video."""

import hashlib
from base64 import b64encode
from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from fer_deploy.analyze.report.page_data import page_data
from fer_deploy.analyze.report.people_seen import Timeline
from fer_deploy.analyze.report.stacks import colors_of, count_text
from fer_deploy.analyze.report.summary import Outcome, Person, Summary
from fer_deploy.analyze.result_files import GENERATOR
from fer_deploy.durations import duration_text
from fer_deploy.privacy.portable_paths import without_folders_in_text
from fer_deploy.vision.palette import UNSURE_COLOR
from fer_deploy.vision.types import UNREADABLE, UNSURE

if TYPE_CHECKING:
    from fer_deploy.analyze.people.pictures import PersonPicture

MOST_CARDS: Final = 24
"""People with a card and a timeline; the others have a row in a table."""
_SCRIPTS: Final = ("data", "view", "plot", "player", "seeking", "marks", "ask", "marks_list", "csv", "best", "keys")
"""Names of the parts of the page's script, in their order."""


def report_html(
    summary: Summary,
    timelines: dict[int, Timeline],
    files: Sequence[str],
    pictures: Mapping[int, "PersonPicture"] | None = None,
) -> str:
    """Return the page about one video.

    Args:
        summary: of the video.
        timelines: by person, for the people with a card.
        files: names of the files beside it.
        pictures: by person, for those who have one.
    """
    pictures = pictures or {}
    colors = colors_of(summary.labels) | {UNSURE: UNSURE_COLOR}
    cards = [
        {"person": person, "shares": _shares(person, colors), "thumbnail": _thumbnail(pictures.get(person.track))}
        for person in summary.people
        if person.track in timelines
    ]
    return _page(
        "report.html.j2",
        summary=summary,
        cards=cards,
        files=files,
        colors=colors,
        unsure=UNSURE,
        unreadable=UNREADABLE,
        others=[person for person in summary.people if person.track not in timelines],
        share_of=_shares,
        data=page_data(summary, timelines, files, pictures),
    )


def index_html(outcomes: Sequence[Outcome]) -> str:
    """Return the page that links to the reports of several videos, in the order of their names."""
    by_name = sorted(outcomes, key=lambda outcome: (outcome.video.name.casefold(), outcome.folder))
    num_failed = sum(outcome.summary is None for outcome in outcomes)
    return _page("index.html.j2", outcomes=by_name, num_failed=num_failed, generator=GENERATOR)


@cache
def _pages() -> Environment:
    """Return the templates; each is compiled once in a process, which takes longer than a page."""
    pages = Environment(
        loader=PackageLoader("fer_deploy.analyze.report", "pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    pages.policies["json.dumps_kwargs"] = {"separators": (",", ":")}
    pages.filters["duration"] = duration_text
    pages.filters["percent"] = lambda share: "<1 %" if 0 < share < 0.01 else f"{share:.0%}".replace("%", " %")
    pages.filters["portable"] = lambda failure: without_folders_in_text(str(failure))
    pages.filters["words"] = lambda flag: flag.lower().replace("_", " ")
    pages.filters["counted"] = count_text
    pages.filters["count"] = lambda number: f"{number:,}"
    return pages


def _page(template: str, **content: Any) -> str:
    pages = _pages()
    script = _script(pages)
    digest = b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return pages.get_template(template).render(script=Markup(script), script_digest=digest, **content)


def _script(pages: Environment) -> str:
    """Return the script of the report. The page allows only a script with its digest."""
    assert pages.loader is not None
    parts = (pages.loader.get_source(pages, f"script/{name}.js")[0] for name in _SCRIPTS)
    return "\n" + "\n".join(parts)


def _thumbnail(picture: "PersonPicture | None") -> str:
    return "" if picture is None else b64encode(picture.thumbnail).decode()


def _shares(person: Person, colors: dict[str, str]) -> list[tuple[str, float, str]]:
    """Return label, share and color of the shown labels, the most frequent first."""
    shown = sorted(person.shares.items(), key=lambda item: -item[1])
    return [(label, share, colors.get(label, UNSURE_COLOR)) for label, share in shown]
