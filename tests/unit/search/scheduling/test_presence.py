"""Who is alone with an SQLite study."""

from pathlib import Path

from search.scheduling.presence import attending
from search.storage.databases import default_storage


def test_the_first_is_alone_and_the_others_are_not_until_all_have_left(tmp_path: Path) -> None:
    url = default_storage(tmp_path, "small")
    with attending(url) as first:
        assert first
        with attending(url) as second, attending(url) as third:
            assert not second
            assert not third
        with attending(url) as later:
            assert not later
    with attending(url) as again:
        assert again


def test_whoever_stays_when_the_first_leaves_is_noticed(tmp_path: Path) -> None:
    url = default_storage(tmp_path, "small")
    first, second = attending(url), attending(url)
    assert first.__enter__()
    assert not second.__enter__()
    first.__exit__(None, None, None)
    with attending(url) as third:
        assert not third
    second.__exit__(None, None, None)


def test_on_a_server_nobody_knows_whether_they_are_alone() -> None:
    with attending("postgresql+psycopg://user@host/studies") as alone:
        assert not alone
