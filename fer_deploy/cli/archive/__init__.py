"""fer-deploy archive: settings and printing around `fer_deploy.archive`, a file a command."""

from typing import TYPE_CHECKING

from fer_deploy.analyze.report.stacks import count_text
from fer_deploy.errors import StreamError

if TYPE_CHECKING:
    from fer_deploy.archive.store import Store


def money_text(amount: float) -> str:
    """Return an amount with cents, or with three digits below one."""
    return f"{amount:,.2f}" if amount >= 1 else f"{amount:.3g}"


def require_none_given_up(store: "Store", num: int) -> None:
    """Raise StreamError if so many segments that were given up are not none: `run` and `status` end with its code."""
    if num:
        raise StreamError(
            f"{count_text(num, 'segment')} given up after three tries. Fix: see the reasons in "
            f"{store}/dead_letters.jsonl, correct their causes, then fer-deploy archive retry {store.argument} "
            f"and run again; or leave these segments out: fer-deploy archive join {store.argument} --allow-incomplete"
        )
