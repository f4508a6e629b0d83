"""run: a command of fer-train on a node. Ray sends this code there, so it starts even where fer-train is missing.

It imports nothing of this package before the versions were compared.
"""

from typing import Any


def run(request: dict[str, Any]) -> tuple[int, str]:
    """Run a command in the folder of the sweep; return its exit code, and why it did not start, as text.

    Args:
        request: words of the program and of the command, folder, log, version of fer-train, variables.
    """
    import ctypes  # noqa: PLC0415 - the node's
    import os  # noqa: PLC0415
    import signal  # noqa: PLC0415
    import socket  # noqa: PLC0415
    import subprocess  # noqa: PLC0415
    import sys  # noqa: PLC0415

    try:
        from fer_train import __version__ as version  # noqa: PLC0415
    except ImportError:
        version = ""
    where, here = f"on {socket.gethostname()}", request["version"]
    if version != here:
        found = f"fer-train {version}" if version else "no fer-train"
        fix = f"pip install 'fer-toolchain[train,ray]=={here}' there"
        return 3, f"{where}: there is {found}, and {here} where the sweep began. Fix: {fix}"
    folder, log, words = request["folder"], request["log"], list(request["words"])
    for path in (folder, os.path.dirname(log)):
        if not os.path.isdir(path):
            return 2, f"{where}: {path} is not there. Fix: begin the sweep in a folder that all nodes share"
    out = os.path.join(folder, words[words.index("--out") + 1])
    if words[0] == "train" and "--resume" not in words and os.path.exists(os.path.join(out, "last.pt")):
        words.append("--resume")  # an earlier try on a node that was lost
    libc = ctypes.CDLL(None)

    def end_with_parent() -> None:
        libc.prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG: nothing writes into the folder once the node is given up

    with open(log, "ab") as file:
        child = subprocess.Popen(
            [sys.executable, *request["program"], *words],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            env=os.environ | request["variables"],
            preexec_fn=end_with_parent,  # noqa: PLW1509 - one system call
        )
        try:
            return child.wait(), ""
        except BaseException:  # the task was cancelled
            child.terminate()
            child.wait()
            raise
