"""The program fer-train, and python -m fer_train, which torchrun starts.

Signals first: what is imported after them takes seconds.
"""

from importlib import import_module

from fer_train import signals


def main() -> None:
    """Run the command line."""
    signals.install()
    import_module("fer_train.cli").main()


if __name__ == "__main__":
    main()
