"""One run of the benchmark: processes, what they cost, and whether they agree."""

import json
import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path

import measure
import steps
from clock import AS_OF, written
from definitions import Models, draw
from measure import Cost
from options import Options

HERE = Path(__file__).resolve().parent


@dataclass
class Figure:
    """A line of the table."""

    stage: str
    by: str
    rows: int
    cost: Cost
    # Seconds of parts of it.
    parts: list[tuple[str, float]] = field(default_factory=list)


class Bench:
    def __init__(self, options: Options):
        self.options = options
        self.models: Models = draw(options.traits, options.segments)
        self.figures: list[Figure] = []

    @property
    def project(self) -> Path:
        return self.options.work / "project"

    def folder(self, name: str) -> Path:
        return self.options.work / name

    def say(self, text: str) -> None:
        print(f"bench: {text}", file=sys.stderr, flush=True)

    def cohorte(self, verb: str, project: Path, *arguments: str, as_of=AS_OF) -> tuple[Cost, str]:
        command = [str(self.options.cohorte), "--project", str(project), "--as-of", written(as_of), verb, *arguments]
        return measure.run(command)

    def build(self, project: Path, as_of=AS_OF) -> tuple[Cost, list[tuple[str, float]]]:
        """A build, and what it says of its parts."""
        cost, said = self.cohorte("build", project, "--timings", "--format", "json", as_of=as_of)
        return cost, steps.parts(said)

    def duck(self, work: str, out: str, **settings) -> tuple[Cost, dict]:
        """DuckDB's side of something, in a process of its own; its results are in the folder `out`."""
        options = self.options
        given = {"threads": options.threads, "memory": options.memory, "traits": options.traits, "segments": options.segments, "new": 0}
        given |= settings | {"work": work, "out": self.folder(out)}
        cost, answer = measure.run([sys.executable, "-m", "duck", json.dumps(given, default=str)], HERE)
        return cost, json.loads(answer)

    def measured(self, stage: str, by: str, rows: int, once) -> Cost:
        """Runs `once` as often as was asked for and keeps the medians; it gives its cost and, perhaps, seconds of its parts."""
        runs = []
        for number in range(self.options.repeat):
            cost, parts = once(number)
            self.say(f"{stage}, {by}: {cost.seconds:.2f} s, {cost.peak_mib:.0f} MiB")
            runs.append((cost, parts))
        cost = measure.median([cost for cost, _ in runs])
        # Of the run in the middle.
        parts = sorted(runs, key=lambda run: run[0].seconds)[len(runs) // 2][1]
        self.figures.append(Figure(stage, by, rows, cost, parts))
        return cost

    def agree(self, what: str, project: Path, theirs: str) -> None:
        """Stops the run where the tables of a project differ from DuckDB's results."""
        tables = project / "warehouse/cdp"
        measure.run([sys.executable, str(HERE / "compare.py"), str(tables), str(self.folder(theirs))])
        self.say(f"{what}: the same, row for row")


def remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
