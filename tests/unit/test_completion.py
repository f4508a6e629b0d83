"""Completion: what the shell is told, and that the documented line works in bash."""

import os
import subprocess
import sys

import pytest
from click.testing import CliRunner
from unit.programs import PROGRAMS

COMPLETE = """
import sys
sys.argv = ["{program}"]
from importlib import import_module
import_module("{package}.__main__").main()
"""


def completions(program: str, line: str) -> list[str]:
    """Return what the shell is told of the last word of the line: type,value."""
    package, group, _ = PROGRAMS[program]
    environment = {
        f"_{package.upper()}_COMPLETE": "bash_complete",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(line.split(" ")) - 1),
    }
    result = CliRunner().invoke(group, [], prog_name=program, env=environment)
    assert result.exit_code == 0, result.output
    return result.stdout.splitlines()


@pytest.mark.parametrize(
    ("program", "line", "found"),
    [
        ("fer-deploy", "fer-deploy li", ["plain,live"]),
        ("fer-deploy", "fer-deploy live --eng", ["plain,--engine"]),
        ("fer-deploy", "fer-deploy live --detector ", ["plain,auto", "plain,haar", "plain,yunet"]),
        ("fer-deploy", "fer-deploy live --engine ", ["file,"]),
        ("fer-deploy", "fer-deploy live --source sy", ["plain,synthetic"]),
        ("fer-deploy", "fer-deploy live --source clip", ["file,clip"]),
        ("fer-deploy", "fer-deploy image ph", ["file,ph"]),
        ("fer-deploy", "fer-deploy analyze a.mp4 --out re", ["dir,re"]),
        ("fer-train", "fer-train distill --teacher ", ["file,"]),
        ("fer-train", "fer-train train --out ", ["dir,"]),
    ],
)
def test_the_shell_completes(program, line, found):
    assert completions(program, line) == found


def test_bash_completes(tmp_path):
    program = tmp_path / "fer-deploy"
    program.write_text(f"#!{sys.executable}\n{COMPLETE.format(program='fer-deploy', package='fer_deploy')}")
    program.chmod(0o755)
    line = 'eval "$(_FER_DEPLOY_COMPLETE=bash_source fer-deploy)"'
    script = (
        f"{line}\nCOMP_WORDS=(fer-deploy analyze --res); COMP_CWORD=2\n_fer_deploy_completion fer-deploy\n"
        'echo "${COMPREPLY[@]}"'
    )
    environment = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(["bash", "-c", script], env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "--restart\n"), done.stderr
