"""TritonAddress: where a model is served, as `triton://host:8001/model`. Imports nothing of Triton."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from fer_deploy.errors import ConfigError, argument

DEFAULT_PORT: Final = 8001
"""Triton's port for gRPC."""
_SCHEME: Final = re.compile(r"tritons?:(/|$)")
_SLASHES: Final = re.compile(r"^(tritons?):/+")
"""A `Path` has lost one."""
_ADDRESS: Final = re.compile(
    r"(?P<scheme>tritons?):/{1,2}(?P<host>\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(:(?P<port>\d{1,5}))?"
    r"/(?P<model>[A-Za-z0-9][A-Za-z0-9._-]*)(/(?P<version>\d+))?/?"
)
_FORM: Final = "triton://HOST:8001/MODEL or triton://HOST:8001/MODEL/VERSION"


@dataclass(frozen=True)
class TritonAddress:
    """The address of a served model.

    Attributes:
        host: name or IP address; IPv6 in brackets.
        port: of gRPC.
        model: name of the model on the server.
        version: of the model; empty: the server's choice, which is the latest one.
        is_encrypted: whether the connection uses TLS (`tritons://`).
    """

    host: str
    port: int
    model: str
    version: str = ""
    is_encrypted: bool = False

    @classmethod
    def parse(cls, text: str | Path) -> Self:
        """Read an address; a `Path` of one, which has lost a slash, is read too.

        Raises:
            ConfigError: it has another form, or the port does not exist.
        """
        text = with_slashes(text)
        found = _ADDRESS.fullmatch(text)
        if found is None:
            raise ConfigError(f"{text} is not the address of a served model. Fix: {argument('engine', _FORM)}")
        port = int(found["port"] or DEFAULT_PORT)
        if not 1 <= port <= 65535:
            raise ConfigError(f"{text}: there is no port {port}. Fix: Triton's gRPC port, usually {DEFAULT_PORT}")
        return cls(found["host"], port, found["model"], found["version"] or "", found["scheme"] == "tritons")

    @property
    def url(self) -> str:
        """Host and port, as Triton's client takes them."""
        return f"{self.host}:{self.port}"

    def __str__(self) -> str:
        scheme = "tritons" if self.is_encrypted else "triton"
        return f"{scheme}://{self.url}/{self.model}" + (f"/{self.version}" if self.version else "")


def with_slashes(engine: str | Path) -> str:
    """Return an address with the slash that a `Path` of it has lost; a file's path as it is."""
    return _SLASHES.sub(r"\1://", str(engine))


def is_triton(engine: str | Path | None) -> bool:
    """Return whether a model is named by an address of Triton instead of a file."""
    return engine is not None and _SCHEME.match(str(engine)) is not None
