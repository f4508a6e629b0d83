"""The files in deploy/, and the real commands and variables that they must name."""

from pathlib import Path
from typing import Any

import yaml
from unit.programs import ALL, REPO, command_of

DEPLOY = REPO / "deploy"
KNOWN = {
    name for program, command in ALL for param in command_of(program, command).params for name in param.envvar or ()
}
KNOWN |= {"FER_YUNET"}


def parse(words: list[str]) -> dict[str, Any]:
    """Parse a command line of fer-deploy with the real command; it raises for what is wrong."""
    name, *args = words
    return command_of("fer-deploy", name).make_context(name, args).params


def services_of(name: str) -> dict[str, dict[str, Any]]:
    """Return the services of a compose file, those of other files that they extend included."""
    services = yaml.safe_load((DEPLOY / name).read_text())["services"]
    return {key: _extended(value) for key, value in services.items()}


def _extended(service: dict[str, Any]) -> dict[str, Any]:
    if "extends" not in service:
        return service
    base = services_of(service["extends"]["file"])[service["extends"]["service"]]
    lists = {key: [*base[key], *value] for key, value in service.items() if isinstance(value, list) and key in base}
    return base | {key: value for key, value in service.items() if key != "extends"} | lists


def mounted_files(services: dict[str, dict[str, Any]]) -> list[Path]:
    """Return the files of deploy/ that services mount."""
    volumes = [volume.split(":")[0] for service in services.values() for volume in service.get("volumes", ())]
    return [DEPLOY / volume for volume in volumes if volume.startswith("./")]


def volumes_of(service: dict[str, Any]) -> set[str]:
    """Return the named volumes that a service mounts."""
    return {volume.split(":")[0] for volume in service.get("volumes", ()) if volume[0] not in "./$"}
