"""fer-deploy archive: settings and printing around `fer_deploy.archive`, a file a command."""

from typing import TYPE_CHECKING, Final

from fer_deploy.analyze.report.stacks import count_text
from fer_deploy.errors import StreamError

if TYPE_CHECKING:
    from fer_deploy.archive.store import Store

_LEAST_SHOWN: Final = 0.0001


def number_text(number: float) -> str:
    """Return a number of at least 0 with three digits, or whole, and never with an exponent."""
    if 0 < number < _LEAST_SHOWN:
        return f"under {_LEAST_SHOWN}"
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"


def money_text(amount: float) -> str:
    """Return an amount with cents, or with three digits below one."""
    return f"{amount:,.2f}" if amount >= 1 else number_text(amount)


def require_none_given_up(store: "Store", num: int) -> None:
    """Raise StreamError if so many segments that were given up are not none: `run` and `status` end with its code."""
    if num:
        raise StreamError(
            f"{count_text(num, 'segment')} given up after three tries. Fix: see the reasons in "
            f"{store}/dead_letters.jsonl, correct their causes, then fer-deploy archive retry {store.argument} "
            f"and run again; or leave these segments out: fer-deploy archive join {store.argument} --allow-incomplete"
        )
