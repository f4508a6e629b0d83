"""Capture process: read one camera or stream and write its frames to shared memory, until it is killed.

It ends when its parent process ends for any reason, because the socket closes. (Linux's parent-death signal does not
work here: it comes when the *thread* ends that started the process.)
"""

import importlib
import os
import queue
import threading
import time
from multiprocessing.connection import Connection

from fer_deploy.live.capture.frame_memory import FrameMemory
from fer_deploy.live.capture.protocol import (
    NUM_SLOTS,
    Ended,
    Message,
    Opened,
    Picture,
    Progress,
    Request,
    Started,
    receive,
    receive_slot,
    send,
)
from fer_deploy.live.capture.reader import Reader, ReadFailure

QUIET_S = 0.5
"""After this time without a frame, the number of damaged frames is reported on its own."""


def main(connection_handle: int, memory_handle: int) -> None:
    """Serve one request, then end the process without waiting for threads of drivers that hang."""
    try:
        _Capture(Connection(connection_handle), FrameMemory(memory_handle)).run()
    except (EOFError, BrokenPipeError, ConnectionResetError):
        pass  # the parent has ended
    finally:
        os._exit(0)


class _Capture:
    """The thread that reads frames, and the thread that receives returned slots."""

    def __init__(self, connection: Connection, memory: FrameMemory) -> None:
        self._connection, self._memory = connection, memory
        self._free: queue.SimpleQueue[int] = queue.SimpleQueue()
        for slot in range(NUM_SLOTS):
            self._free.put(slot)
        self._sent_s = time.monotonic()

    def run(self) -> None:
        request: Request = receive(self._connection)
        threading.Thread(target=self._listen, daemon=True).start()
        try:
            module = importlib.import_module(f"fer_deploy.live.capture.{request.reader}")
            self._send(Started())
            self._read(module.open_reader(request))
        except ReadFailure as err:
            self._send(Ended(str(err)))
        except OSError:
            raise
        except Exception as err:  # noqa: BLE001 - the process's end; drivers and codecs raise any exception
            self._send(Ended(f"{type(err).__name__}: {err}"))

    def _read(self, reader: Reader) -> None:
        self._send(Opened(reader.fps, reader.num_frames, reader.is_endless, reader.notes))
        index = 0
        while reader.grab():
            captured_ns = time.monotonic_ns()
            self._deliver(reader, index, captured_ns)
            index += 1
        self._send(Ended("", reader.num_corrupt))

    def _deliver(self, reader: Reader, index: int, captured_ns: int) -> None:
        """Send the frame. If no slot is free, a live frame is dropped before it is converted."""
        try:
            slot = self._free.get(block=not reader.is_endless)
        except queue.Empty:
            return
        picture = reader.retrieve()
        if picture is None:
            self._free.put(slot)
            if time.monotonic() - self._sent_s > QUIET_S:
                self._send(Progress(reader.num_corrupt))
            return
        height, width = picture.shape[:2]
        offset = self._memory.write(slot, picture)
        self._send(Picture(slot, offset, height, width, index, reader.position_s(), captured_ns, reader.num_corrupt))

    def _send(self, message: Message) -> None:
        send(self._connection, message)
        self._sent_s = time.monotonic()

    def _listen(self) -> None:
        try:
            while True:
                self._free.put(receive_slot(self._connection))
        except (EOFError, OSError):
            os._exit(0)
