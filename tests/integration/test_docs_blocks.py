"""Every block of shell and Python in README and docs/ is run, unless a mark above it names what is missing here.

The commands are those of the page. Files by their names are small: drawn faces, striped patterns, narrow networks.
"""

import subprocess
from collections.abc import Callable

import pytest
from docs_pages import PAGES, REPO, Block, blocks_of, mark_faults
from fork_server.starter import ForkServer
from integration.docs_blocks.workbench import Workbench

BLOCKS = REPO / "tests" / "integration" / "docs_blocks"
WITH_CODE = [path for path in PAGES if any(block.is_code for block in blocks_of(path.read_text()))]
WITH_SLOW_CODE = [path for path in WITH_CODE if any(block.mark == "slow" for block in blocks_of(path.read_text()))]
OpenWorkbench = Callable[[str], Workbench]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    running = ForkServer(tmp_path_factory.mktemp("server"), BLOCKS / "server.py")
    yield running
    running.end()


@pytest.fixture(scope="module")
def open_workbench(tmp_path_factory, server) -> OpenWorkbench:
    """Make a folder for the blocks of a page."""
    folder = tmp_path_factory.mktemp("docs")
    stand_ins = folder / "stand-ins"
    stand_ins.mkdir()
    subprocess.run([server.python, BLOCKS / "stand_ins.py", stand_ins, REPO], check=True)
    return lambda name: Workbench(folder / name, stand_ins, server)


def run_page(workbench: Workbench, blocks: list[Block]) -> None:
    for block in blocks:
        fault = workbench.run(block)
        assert not fault, fault


@pytest.mark.parametrize("path", WITH_CODE, ids=lambda path: path.name)
def test_blocks_run(path, open_workbench):
    blocks = [block for block in blocks_of(path.read_text()) if block.is_code and not block.mark]
    run_page(open_workbench(path.stem), blocks)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("path", WITH_SLOW_CODE, ids=lambda path: path.name)
def test_slow_blocks_run(path, open_workbench):
    blocks = [block for block in blocks_of(path.read_text()) if block.mark == "slow"]
    run_page(open_workbench(f"{path.stem}-slow"), blocks)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_marks_are_above_a_block_and_have_a_known_reason(path):
    assert mark_faults(path.read_text()) == []


PAGE = """
```sh
true
```

<!-- not-run: needs a camera -->
```sh
fer-deploy live
```

<!-- slow -->

```sh
true
```

<!-- not-run: it fails -->
```python
1 / 0
```
"""


def test_a_mark_belongs_to_the_block_below_it():
    assert [block.mark for block in blocks_of(PAGE)] == ["", "not-run: needs a camera", "", "not-run: it fails"]
    first, second = mark_faults(PAGE)
    assert first.startswith("line 19: not-run: it fails: expected one of needs a camera, ")
    assert second == "3 marks, 2 of them above a block"


@pytest.mark.parametrize(
    ("language", "text", "said"),
    [
        ("sh", "true\nfer-deploy lvie\ntrue\n", "exit code 2"),
        ("sh", "false | true\n", "exit code 1"),
        ("python", "from fer_deploy import Recogniser\n", "cannot import name 'Recogniser'"),
    ],
)
def test_a_block_that_fails_is_found(language, text, said, open_workbench, request):
    workbench = open_workbench(f"failing-{request.node.callspec.indices['said']}")
    fault = workbench.run(Block(language, text, 7))
    assert fault.startswith("line 7: ")
    assert said in fault
