"""Participants: columns of the user, such as group or age, for each video."""

from pathlib import Path
from typing import NamedTuple

from fer_deploy.analyze.events.event_list import is_name_of
from fer_deploy.errors import ConfigError
from fer_deploy.files.user_csv import read_csv


class Participants(NamedTuple):
    """The user's columns without `video`, in their order, and their values by the name of the video.

    Attributes:
        path: the file.
        sha256: its digest.
        columns: names without `video`.
        values: a row for each video, by the name in the file.
    """

    path: Path
    sha256: str
    columns: tuple[str, ...]
    values: dict[str, tuple[str, ...]]

    def of_video(self, video: Path) -> dict[str, str]:
        """Return the columns of a video.

        Raises:
            ConfigError: it has no row, or several.
        """
        mine = [name for name in self.values if is_name_of(name, video)]
        if len(mine) == 1:
            return dict(zip(self.columns, self.values[mine[0]], strict=True))
        found = f"two rows of {video.name}: {' and '.join(mine)}" if mine else f"no row of {video.name}"
        raise ConfigError(f"{self.path} has {found}. Fix: one row with {video.name} in the column video")


def read_participants(path: Path) -> Participants:
    """Read a CSV with the column `video` and any others.

    Raises:
        ConfigError: it cannot be read, has no column video or no other, or names a video twice or not at all.
    """
    table = read_csv(path, ["video"])
    columns = tuple(name for name in table.columns if name != "video")
    if "video" not in table.columns or not columns:
        raise ConfigError(
            f"{path} has the columns {', '.join(table.columns)}, expected video and at least one more. "
            "Fix: a first line such as video,group"
        )
    values: dict[str, tuple[str, ...]] = {}
    for line in table.lines:
        name = line.cells["video"]
        if not name or name in values:
            problem = f"the video {name} a second time" if name else "no video"
            raise table.fault(line.number, problem, "the file name of a video, once, in the column video")
        values[name] = tuple(line.cells[column] for column in columns)
    return Participants(path, table.sha256, columns, values)
