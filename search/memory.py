"""Whether the kernel ended processes for want of memory."""

from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
OWN_CGROUP = Path("/proc/self/cgroup")


def out_of_memory_kills(own: Path = OWN_CGROUP, root: Path = CGROUPS) -> int:
    """How many processes of this process's group the kernel has killed so far for want of memory.

    Args:
        own: where the kernel says which group that is.
        root: where it says what happened in the groups.

    Returns:
        0 where nobody counts: outside of Linux, or without control groups of version 2.
    """
    try:
        lines = own.read_text(encoding="ascii").splitlines()
        group = next(line.removeprefix("0::/") for line in lines if line.startswith("0::/"))
        events = (root / group / "memory.events").read_text(encoding="ascii").split()
    except (OSError, StopIteration, UnicodeDecodeError):
        return 0
    counts = dict(zip(events[::2], events[1::2], strict=True))
    return int(counts.get("oom_kill", 0))
