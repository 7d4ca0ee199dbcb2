"""Looking at other processes."""

from pathlib import Path


def alive(pid: int) -> bool:
    """Whether a process runs; one that ended may linger as a zombie until it is reaped."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):  # it may end between opening and reading
        return False
