"""Nodes of a cluster on one machine: a network and process namespace each, joined by a virtual cable.

Their programs are children of the fork server that enter the node's namespaces: they end with the node.
"""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from fork_server.starter import ForkServer

WORKER = Path(__file__).with_name("paused_worker.py")
PORT = 29400
LIMIT_S = 240.0
"""Another program may have the cores."""
RENDEZVOUS = "keep_alive_interval=1,keep_alive_max_attempt=4,last_call_timeout=3,read_timeout=20"
"""A dead node is known after 4 s, in place of 15; and when the fewest nodes are there, others are waited for 3 s."""

ROUNDS_APART = {"TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1"}
"""Else a node that joins later waits in vain: torchrun 2.15 tells the first node's address in the first round only."""


class Node:
    """A machine with one network card. `kill` ends all its processes at once; its files stay."""

    def __init__(self, number: int, folder: Path, server: ForkServer) -> None:
        self._server = server
        self.address = f"10.231.0.{number}"
        self._name, self._folder = f"node-{number}", folder
        self._network = subprocess.Popen(["unshare", "--net", "sleep", "infinity"])
        self._running: subprocess.Popen[bytes] | None = None
        self._starts = 0

    @property
    def namespace(self) -> str:
        return str(self._network.pid)

    @property
    def printed(self) -> str:
        """What the last start wrote."""
        return self._log.read_text()

    @property
    def _log(self) -> Path:
        return self._folder / f"{self._name}-{self._starts}.log"

    def connect(self) -> None:
        """Give the card its address."""
        for words in (
            ["addr", "add", f"{self.address}/24", "dev", "eth0"],
            ["link", "set", "lo", "up"],
            ["link", "set", "eth0", "up"],
        ):
            subprocess.run(["nsenter", f"--net=/proc/{self.namespace}/ns/net", "ip", *words], check=True)

    def torchrun(self, nodes: str, first: "Node", words: Sequence[object], environment: dict[str, str]) -> None:
        """Start one process of a training on this node."""
        self._starts += 1
        command = [
            "nsenter",
            f"--net=/proc/{self.namespace}/ns/net",
            "unshare",
            "--pid",
            "--fork",
            "--kill-child",
            "--mount-proc",
            "--uts",
            "sh",
            "-c",
            f'hostname {self._name}; exec "$@"',
            "sh",
            *self._server.command("torchrun"),
            "--nnodes",
            nodes,
            "--nproc-per-node",
            "1",
            "--rdzv-backend",
            "c10d",
            "--rdzv-endpoint",
            f"{first.address}:{PORT}",
            "--rdzv-id",
            "test",
            "--rdzv-conf",
            f"{RENDEZVOUS},is_host={int(self is first)}",
            "--local-addr",
            self.address,
            "--max-restarts",
            "3",
            str(WORKER),
            "train",
            *map(str, words),
        ]
        everything = os.environ | {"PYTHON_EXEC": str(self._server.python), **ROUNDS_APART} | environment
        with self._log.open("wb") as log:
            self._running = subprocess.Popen(command, env=everything, stdout=log, stderr=log)

    def wait(self) -> int:
        """Return the exit code of torchrun."""
        assert self._running is not None
        return self._running.wait(LIMIT_S)

    def kill(self) -> None:
        """Cut its power."""
        if self._running is not None:
            self._running.send_signal(signal.SIGKILL)  # --kill-child: the first process of the namespace dies, too
            self._running.wait()

    def close(self) -> None:
        self.kill()
        self._network.kill()
        self._network.wait()


def why_not() -> str:
    """Return why this machine cannot make namespaces, or nothing."""
    trial = "ip link add eth0 type veth peer name eth1 && ip link set eth0 up"
    command = ["unshare", "--net", "--pid", "--fork", "--mount-proc", "--uts", "sh", "-c", trial]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError as err:
        return f"no program {err.filename}"
    return "" if done.returncode == 0 else f"no network namespaces (root only): {done.stderr.strip()}"


@contextlib.contextmanager
def two_nodes(folder: Path, server: ForkServer) -> Iterator[tuple[Node, Node]]:
    """Yield two connected nodes, whose output goes into files of a folder."""
    with contextlib.ExitStack() as stack:
        nodes = [Node(number, folder, server) for number in (1, 2)]
        for node in nodes:
            stack.callback(node.close)
        # unshare has moved into its namespace when it has become sleep.
        until(lambda: all(Path(f"/proc/{node.namespace}/comm").read_text() == "sleep\n" for node in nodes))
        first, second = (node.namespace for node in nodes)
        cable = ["ip", "link", "add", "eth0", "netns", first, "type", "veth", "peer", "name", "eth0", "netns", second]
        subprocess.run(cable, check=True)
        for node in nodes:
            node.connect()
        yield nodes[0], nodes[1]


def until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LIMIT_S
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.05)
