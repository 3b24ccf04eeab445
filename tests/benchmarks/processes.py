"""Memory of a process, as Linux counts it."""

from pathlib import Path

KIB = 1024


def resident_bytes(pid: int | str = "self") -> int | None:
    """Bytes in memory now; None where the process is gone."""
    return _status(pid, "VmRSS")


def peak_bytes(pid: int | str = "self") -> int | None:
    """The most bytes in memory since the process started, or since :func:`forget_peak`."""
    return _status(pid, "VmHWM")


def forget_peak() -> None:
    """Starts the peak of this process anew from what it holds now."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def _status(pid: int | str, field: str) -> int | None:
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    for line in lines.splitlines():
        name, _, value = line.partition(":")
        if name == field:
            return int(value.split()[0]) * KIB
    return None
