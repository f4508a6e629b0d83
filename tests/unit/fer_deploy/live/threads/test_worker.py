import threading

from fer_deploy.live.threads.worker import Worker


def run(body):
    reported = []
    worker = Worker("infer", body, lambda stage, err: reported.append((stage, err, threading.current_thread().name)))
    worker.start()
    worker.join(10)
    assert not worker.is_alive()
    return reported


def test_failure_is_reported_in_its_own_thread():
    error = ValueError("boom")

    def body():
        raise error

    assert run(body) == [("infer", error, "fer-infer")]


def test_success_reports_nothing():
    done = []
    assert run(lambda: done.append(1)) == []
    assert done == [1]


def test_a_worker_that_hangs_does_not_keep_the_process_alive():
    assert Worker("capture", print, print).daemon
