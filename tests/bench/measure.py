"""What a process costs, by the kernel's books."""

import os
import statistics
import subprocess
import tempfile
import time
from dataclasses import asdict, dataclass, fields
from pathlib import Path

MIB = 1 << 20


@dataclass(frozen=True)
class Cost:
    """Seconds on the clock and of the processors, greatest resident memory, bytes through system calls for reading and writing."""

    seconds: float
    processor: float
    peak_mib: float
    read_mib: float
    written_mib: float

    def as_json(self) -> dict[str, float]:
        return {name: round(value, 3) for name, value in asdict(self).items()}


def median(costs: list[Cost]) -> Cost:
    return Cost(*(statistics.median(getattr(cost, field.name) for cost in costs) for field in fields(Cost)))


class Failed(Exception):
    """A process that was to be measured did not end well."""


def run(command: list[str], folder: Path | None = None) -> tuple[Cost, str]:
    """Runs it to its end; what it cost, and what it printed.

    This process stays small: a child's greatest memory begins with that of its parent.
    """
    # What others wrote is not to be written back while this is measured.
    os.sync()
    with tempfile.TemporaryFile("w+") as err:
        started = time.perf_counter()
        child = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=err, text=True)
        out = child.stdout.read()
        # It ended, but is still there to be asked.
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        seconds = time.perf_counter() - started
        err.seek(0)
        said = err.read()
    io = dict(line.split(": ") for line in Path(f"/proc/{child.pid}/io").read_text().splitlines())
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise Failed(f"{' '.join(command)} ended with {child.returncode}\n{out}{said}")
    cost = Cost(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, int(io["rchar"]) / MIB, int(io["wchar"]) / MIB)
    return cost, out
