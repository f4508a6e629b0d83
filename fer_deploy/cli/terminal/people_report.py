"""Report of the people seen, their visible time and their emotions, at the end of a live run."""

from collections.abc import Mapping, Sequence
from typing import Final

from fer_deploy.durations import duration_text
from fer_deploy.vision.tracking.person_numbers import FOLLOWED_S
from fer_deploy.vision.tracking.presence import PersonPresence, Presence

MOST_LINES: Final = 12
"""Lines for the people visible longest; the others are only counted."""


def people_lines(presence: Presence, names: Sequence[str]) -> list[str]:
    """Return the lines of the report.

    Args:
        presence: of the whole run.
        names: of the sources, in their order.
    """
    if presence.num_photos:
        num = presence.shown_in_photos.total()
        shares = {label: count / num for label, count in presence.shown_in_photos.most_common()}
        in_words = f": {_shares(shares)}" if num else ""
        return [f"{_count(num, 'face')} in {_count(presence.num_photos, 'picture')}{in_words}"]
    people = presence.people()
    num_people = len(people) + presence.num_forgotten
    lines = [f"{_count(num_people, 'person', 'people')} seen"]
    longest = sorted(people, key=lambda person: -person.visible_s)[:MOST_LINES]
    rows = [_row(person, names) for person in people if person in longest]
    widths = [max(map(len, column)) for column in list(zip(*rows, strict=True))[:2]]
    lines += [f"  {who:<{widths[0]}}  {how_long:>{widths[1]}}  {what}" for who, how_long, what in rows]
    if num_people > len(rows):
        lines.append(f"  and {num_people - len(rows):,} more, visible for less long")
    if num := presence.passers_by():
        lines.append(f"  and {_count(num, 'face')} followed for less than {FOLLOWED_S:g} s")
    return lines


def _row(person: PersonPresence, names: Sequence[str]) -> tuple[str, str, str]:
    where = f"{names[person.source]}: " if len(names) > 1 else ""
    return f"{where}person {person.number}", duration_text(person.visible_s), _shares(person.shares)


def _shares(shares: Mapping[str, float]) -> str:
    return ", ".join(f"{label} {'<1' if share < 0.01 else f'{100 * share:.0f}'} %" for label, share in shares.items())


def _count(num: int, one: str, several: str = "") -> str:
    return f"{num:,} {one if num == 1 else several or f'{one}s'}"
