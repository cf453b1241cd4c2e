"""What a process has used so far."""

import os
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")
PAGE_KIB = os.sysconf("SC_PAGE_SIZE") // 1024


def cpu_s(pid: int) -> float:
    """User and system CPU seconds of all threads (proc(5), /proc/PID/stat)."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICK


def softirq_threads_s() -> float:
    """CPU seconds of the kernel's threads that do what interrupts leave for later (ksoftirqd)."""
    return sum(cpu_s(pid) for pid in _SOFTIRQ_THREADS)


def rss_kib(pid: int) -> int:
    """Resident memory in KiB, with what is shared with the kernel."""
    return int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) * PAGE_KIB


def _softirq_threads() -> list[int]:
    names = ((path, path / "comm") for path in Path("/proc").iterdir() if path.name.isdigit())
    return [int(path.name) for path, name in names if name.exists() and name.read_text().startswith("ksoftirqd/")]


_SOFTIRQ_THREADS = _softirq_threads()
