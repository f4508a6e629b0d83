"""python -m fer_deploy: the same as fer-deploy."""

from fer_deploy.cli import main

main()
