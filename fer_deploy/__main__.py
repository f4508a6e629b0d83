"""python -m fer_deploy: what torchrun starts."""

from fer_deploy.cli import main

main()
