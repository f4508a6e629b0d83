"""fer-deploy archive: settings and printing around `fer_deploy.archive`, a file a command."""


def money_text(amount: float) -> str:
    """Return an amount with cents, or with three digits below one."""
    return f"{amount:,.2f}" if amount >= 1 else f"{amount:.3g}"
