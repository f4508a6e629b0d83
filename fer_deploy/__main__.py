"""Run fer-deploy or python -m fer_deploy. Signal handlers are installed first, since later imports take a while."""

import sys
from importlib import import_module

from fer_deploy import signals


def main() -> None:
    """Run the command line."""
    signals.install(is_regular=sys.argv[1:2] == ["live"])
    import_module("fer_deploy.cli.interface.ending").run(import_module("fer_deploy.cli").main)


if __name__ == "__main__":
    main()
