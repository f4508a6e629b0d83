"""Entry point of fer-train and of python -m fer_train, which torchrun starts.

Signal handlers are installed first, because the imports after them take seconds.
"""

from importlib import import_module

from fer_train import signals


def main() -> None:
    """Run the command line."""
    signals.install()
    import_module("fer_train.allocator").keep_freed_memory()
    import_module("fer_train.cli.interface.ending").run(import_module("fer_train.cli").main)


if __name__ == "__main__":
    main()
