"""TableFile: the interface of the table formats."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

Row = list[Any]
"""One value for each column, in their order."""
Columns = dict[str, type]
"""Type of each column by its name: int, float, str or bool."""


class TableFile(ABC):
    """A table on the disk, under a temporary name until it is complete. Used by one thread."""

    @abstractmethod
    def append(self, rows: Sequence[Row]) -> None:
        """Add rows.

        Raises:
            SinkError: they cannot be written; earlier rows stay.
        """

    @abstractmethod
    def complete(self) -> None:
        """Write remaining rows and close the table under its temporary name; called once.

        Raises:
            SinkError: the table is incomplete.
        """

    @abstractmethod
    def publish(self) -> None:
        """Rename a complete table to its final name; an older one is replaced.

        Raises:
            SinkError: it cannot be renamed.
        """

    @abstractmethod
    def leave(self) -> None:
        """Close the table under its temporary name, instead of `complete` or after it; without rows it is removed.

        Raises:
            SinkError: rows are missing.
        """
