"""python -m fer_train: what torchrun starts."""

from fer_train.cli import main

main()
