"""Which file system a path lies on, and which of them SQLite is kept from."""

import re
from pathlib import Path

import pytest

from search.records.errors import InputError
from search.storage import filesystems
from search.storage.databases import default_storage, holds_studies
from search.storage.filesystems import kind_of, refuse_network
from search.tracking import resolve_uri
from search.tracking.destination import check_writable

MOUNTS = r"""
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda1 rw,discard
23 22 0:20 / /proc rw,nosuid - proc proc rw
30 22 0:40 /export /no/home rw,relatime shared:9 master:3 propagate_from:2 - nfs4 server:/home rw
31 30 254:1 / /no/home/me/local rw - xfs /dev/vdb rw
32 22 0:41 / /no/two\040words\134\303\274 rw - fuse.sshfs me@host: rw
33 22 0:42 / /no/over rw - cifs //server/share rw
34 33 0:43 / /no/over rw - tmpfs tmpfs rw
35 22 0:44 / /no/under rw - tmpfs tmpfs rw
36 35 0:45 / /no/under rw - lustre 10.0.0.1@tcp:/scratch rw
a line that is cut
"""


@pytest.fixture
def mounts(tmp_path: Path) -> Path:
    path = tmp_path / "mountinfo"
    path.write_text(MOUNTS, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/no/where/x.db", "ext4"),
        ("/no/home/me/x.db", "nfs4"),
        ("/no/home", "nfs4"),
        ("/no/homeless/x.db", "ext4"),
        ("/no/home/me/local/studies/x.db", "xfs"),
        ("/no/home/me/local/../x.db", "nfs4"),
        ("/no/two words\\ü/x.db", "fuse.sshfs"),
        ("/no/over/x.db", "tmpfs"),
        ("/no/under/x.db", "lustre"),
    ],
)
def test_the_deepest_mount_point_counts_and_of_those_the_last(
    mounts: Path, path: str, kind: str
) -> None:
    assert kind_of(Path(path), mounts) == kind


def test_links_are_followed(mounts: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/no/home/me")
    assert kind_of(tmp_path / "link" / "x.db", mounts) == "nfs4"


def test_nothing_is_refused_where_nobody_knows_what_is_mounted(tmp_path: Path) -> None:
    assert kind_of(tmp_path, tmp_path / "missing") is None
    refuse_network(tmp_path, "the database", mounts=tmp_path / "missing")


@pytest.mark.parametrize("kind", ["ext4", "xfs", "btrfs", "tmpfs", "overlay", "zfs", "fuse.x"])
def test_local_file_systems_are_welcome(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "mountinfo"
    path.write_text(f"1 0 0:1 / / rw - {kind} somewhere rw\n", encoding="utf-8")
    assert kind_of(tmp_path, path) == kind
    refuse_network(tmp_path, "the database", mounts=path)


@pytest.mark.parametrize(
    "kind",
    [
        "nfs",
        "nfs4",
        "cifs",
        "smb3",
        "smbfs",
        "lustre",
        "gpfs",
        "beegfs",
        "ceph",
        "glusterfs",
        "afs",
        "fuse.sshfs",
    ],
)
def test_sqlite_databases_on_a_network_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    path = tmp_path / "mountinfo"
    path.write_text(f"1 0 0:1 / / rw - {kind} server rw\n", encoding="utf-8")
    monkeypatch.setattr(filesystems, "MOUNTS", path)
    study = tmp_path / "small.db"
    said = r"{} would lie on a network file system \({}\).* local folder, .*postgresql://"
    with pytest.raises(InputError, match=said.format(re.escape(str(study)), re.escape(kind))):
        holds_studies(default_storage(tmp_path, "small"))
    place = resolve_uri(None, tmp_path)
    with pytest.raises(InputError, match=said.format("mlflow.db", re.escape(kind))):
        check_writable(place, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mountinfo"]
