"""What the user may have meant by a choice or an option that is not known."""

import difflib
from typing import Any

import click


def similar_choice(given: str, choices: click.Choice[Any]) -> str:
    """Return a question for the choice that was probably meant, or an empty string."""
    known = [str(choice) for choice in choices.choices]
    inside = [name for name in known if name in given.lower()]  # senet-ferplus: ferplus
    similar = difflib.get_close_matches(given.lower(), known, n=1, cutoff=0.7)  # gpu is not cpu
    near = [max(inside, key=len)] if inside else similar
    return f" Did you mean {near[0]}?" if near else ""


def owners_of(option: str, ctx: click.Context) -> str:
    """Return the commands of the same group that have an option, as `fer-deploy archive plan`; at most three.

    Args:
        option: such as --pilot.
        ctx: of the command that does not have it.
    """
    above = ctx.parent
    if above is None or not isinstance(above.command, click.Group):
        return ""
    owners = []
    for name in above.command.list_commands(above):
        command = above.command.get_command(above, name)
        if command is not None and any(option in (*one.opts, *one.secondary_opts) for one in command.params):
            owners.append(name)
    return f"{above.command_path} {', '.join(owners)}" if 0 < len(owners) < 4 else ""
