"""Worker process: open the models, then do one task after another until the parent ends.

It ends at once when its parent ends for any reason, because the socket closes.
"""

import gc
import os
import queue
import threading
from multiprocessing.connection import Connection
from typing import Any

from fer_deploy.analyze.jobs.messages import Failed, Progress, Recipe
from fer_deploy.analyze.jobs.worker import Worker, portable


def main(connection_handle: int) -> None:
    """Do the tasks that arrive; the first message is the recipe of the models."""
    connection, is_open = Connection(connection_handle), False
    tasks: queue.SimpleQueue[Any] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(connection, tasks), daemon=True).start()
    try:
        recipe: Recipe = tasks.get()
        with recipe() as models:
            is_open = True
            gc.freeze()  # the end of each task would search what is here to stay
            worker = Worker(models, lambda num: connection.send(Progress(num)))
            while True:
                connection.send(worker.reply_to(tasks.get()))
                gc.collect()  # an encoder has megabytes that Python does not count
    except (BrokenPipeError, ConnectionResetError):
        pass  # the parent has ended
    except Exception as err:  # noqa: BLE001 - the process's end
        connection.send(Failed(portable(err), is_of_models=not is_open))
    finally:
        os._exit(0)


def _listen(connection: Connection, tasks: "queue.SimpleQueue[Any]") -> None:
    try:
        while True:
            tasks.put(connection.recv())
    except (EOFError, OSError):
        os._exit(0)
