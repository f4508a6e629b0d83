"""The program fer-deploy, and python -m fer_deploy. Signals first: what is imported after them takes a while."""

import sys
from importlib import import_module

from fer_deploy import signals


def main() -> None:
    """Run the command line."""
    signals.install(is_regular=sys.argv[1:2] == ["live"])
    import_module("fer_deploy.cli").main()


if __name__ == "__main__":
    main()
