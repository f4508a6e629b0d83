"""TableFile: what the formats of a table have in common."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

Row = list[Any]
"""A value a column, in their order."""
Columns = dict[str, type]
"""Name -> what its values are: int, float, str or bool."""


class TableFile(ABC):
    """A table on the disk, under a temporary name until it is whole. Used by one thread."""

    @abstractmethod
    def append(self, rows: Sequence[Row]) -> None:
        """Add rows.

        Raises:
            SinkError: they cannot be written; those before stand.
        """

    @abstractmethod
    def complete(self) -> None:
        """Write what is left and close the table, which keeps its temporary name; called once.

        Raises:
            SinkError: it is incomplete.
        """

    @abstractmethod
    def publish(self) -> None:
        """Give a complete table its name, in place of an older one.

        Raises:
            SinkError: the system refuses.
        """

    @abstractmethod
    def leave(self) -> None:
        """Close it under its temporary name, in place of `complete` or after it; without a row it is removed.

        Raises:
            SinkError: rows are missing.
        """
