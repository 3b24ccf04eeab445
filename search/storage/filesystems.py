"""File systems on which SQLite loses data: those of a network, whose locks cannot be relied on."""

import re
from collections.abc import Iterator
from pathlib import Path

from search.records.errors import InputError

MOUNTS = Path("/proc/self/mountinfo")
"""What is mounted where; Linux has it, elsewhere nothing is refused."""

NETWORK = frozenset(
    {
        *("nfs", "nfs4", "cifs", "smb2", "smb3", "smbfs", "ncpfs", "afs", "coda"),
        *("lustre", "gpfs", "beegfs", "ceph", "glusterfs", "orangefs", "pvfs2", "panfs"),
        *("fuse.sshfs", "fuse.glusterfs", "fuse.ceph", "fuse.ceph-fuse", "fuse.rclone"),
        *("fuse.s3fs", "fuse.gcsfuse", "fuse.davfs", "fuse.juicefs", "fuse.moosefs", "davfs"),
    }
)


def refuse_network(path: Path, what: str, *, mounts: Path | None = None) -> None:
    """Refuses an SQLite database on a network file system.

    Args:
        path: of the database, which need not exist.
        what: the database, in words.
        mounts: where the system lists what is mounted; ``MOUNTS`` when None.

    Raises:
        InputError: it would lie on one.
    """
    kind = kind_of(path, mounts or MOUNTS)
    if kind in NETWORK:
        raise InputError(
            f"{what} {path} would lie on a network file system ({kind}), where SQLite loses data; "
            "start in a local folder, or use a server: --storage postgresql://USER@HOST/NAME for "
            "the study, --tracking-uri http://HOST:PORT for MLflow"
        )


def kind_of(path: Path, mounts: Path) -> str | None:
    """The kind of file system that a path lies on, or would lie on; None where nobody knows."""
    try:
        lines = mounts.read_bytes().splitlines()
    except OSError:
        return None
    place = path.resolve()
    holding = [(point, kind) for point, kind in _mounted(lines) if place.is_relative_to(point)]
    depth = max((len(point.parts) for point, _ in holding), default=0)
    # Of what is mounted over one another, the last is seen.
    return next((kind for point, kind in reversed(holding) if len(point.parts) == depth), None)


def _mounted(lines: list[bytes]) -> Iterator[tuple[Path, str]]:
    """Mount points and kinds, from lines such as ``36 35 98:0 / /mnt rw shared:1 - ext4 dev rw``.

    The fields before the dash vary in number.
    """
    for line in lines:
        before, dash, after = line.partition(b" - ")
        fields = before.split()
        if dash and len(fields) > 4 and after.split():
            point = re.sub(rb"\\([0-7]{3})", lambda octal: bytes([int(octal[1], 8)]), fields[4])
            yield Path(point.decode(errors="surrogateescape")), after.split()[0].decode()
