"""Run as a script: one run of a planned archive. Arguments: OUT, ENGINE, SHARD, number of sends that it survives."""

import os
import signal
import sys
from pathlib import Path

from integration.archive_videos import make_run, recipe_of

from fer_deploy.archive.manifest import Manifest
from fer_deploy.archive.shard import Shard
from fer_deploy.archive.store import Store


def main(out: str, engine: str, shard: str, dies_at: str) -> None:
    store = Store(out)
    send, num = Store.send, 0

    def counted(self: Store, path: Path, name: str) -> None:
        nonlocal num
        if dies_at != "-" and num >= int(dies_at):
            os.kill(os.getpid(), signal.SIGKILL)
        send(self, path, name)
        num += 1  # only now: two workers may send at the same time

    Store.send = counted
    ended = make_run(store, Manifest.load(store), recipe_of(Path(engine)), shard=Shard.of(shard), num_jobs=2).run()
    assert ended.num_dead == ended.num_left == 0, ended


if __name__ == "__main__":
    main(*sys.argv[1:])
