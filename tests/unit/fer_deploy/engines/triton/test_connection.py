"""What a call does when the server does not answer it."""

import pytest

from fer_deploy.engines.triton.address import TritonAddress
from fer_deploy.engines.triton.connection import TritonConnection
from fer_deploy.errors import EngineError

utils = pytest.importorskip("tritonclient.utils")
ADDRESS = TritonAddress.parse("triton://127.0.0.1:8001/senet")


class Server:
    """Refuses the first calls with a status of gRPC."""

    def __init__(self, status, *, times):
        self.status, self.left, self.calls = status, times, 0

    def answer(self, client):
        self.calls += 1
        if self.left:
            self.left -= 1
            raise utils.InferenceServerException("Stub process 'senet_0' is not healthy.", f"StatusCode.{self.status}")
        return "logits"


def connection(**options):
    return TritonConnection(ADDRESS, object(), description="Triton", require_same=lambda client: None, **options)


@pytest.mark.parametrize("status", ["UNAVAILABLE", "DEADLINE_EXCEEDED", "NOT_FOUND", "INTERNAL"])
def test_a_server_that_is_down_or_whose_model_crashed_is_asked_again(status):
    server = Server(status, times=2)
    assert connection().call(server.answer) == "logits"
    assert server.calls == 3


def test_a_batch_that_the_server_does_not_take_is_an_error_at_once():
    server = Server("INVALID_ARGUMENT", times=9)
    with pytest.raises(EngineError, match=r"Triton refused a batch: Stub process 'senet_0' is not healthy"):
        connection().call(server.answer)
    assert server.calls == 1


def test_a_model_that_stays_crashed_is_an_error_with_a_mend():
    server = Server("INTERNAL", times=10**6)
    with pytest.raises(EngineError, match=r"has been away for 0 s: Stub process .*Fix: start its server again"):
        connection(away_limit_s=0.2).call(server.answer)
