"""What the kernel says of processes that it killed for want of memory."""

from pathlib import Path

from search.execution.supervisor import out_of_memory_kills

EVENTS = "low 0\nhigh 0\nmax 12\noom 3\noom_kill 2\noom_group_kill 0\n"


def test_the_kills_of_the_own_group_are_counted(tmp_path: Path) -> None:
    own = tmp_path / "cgroup"
    own.write_text("0::/user.slice/search\n")
    group = tmp_path / "user.slice" / "search"
    group.mkdir(parents=True)
    (group / "memory.events").write_text(EVENTS)
    assert out_of_memory_kills(own, tmp_path) == 2


def test_where_nobody_counts_there_are_none(tmp_path: Path) -> None:
    own = tmp_path / "cgroup"
    assert out_of_memory_kills(own, tmp_path) == 0
    own.write_text("4:memory:/old\n")
    assert out_of_memory_kills(own, tmp_path) == 0
    own.write_text("0::/\n")
    assert out_of_memory_kills(own, tmp_path) == 0
