"""The table that people read, the ratios that count, and the line that is kept."""

import json
import os
import platform
import subprocess
from datetime import datetime, timezone
from pathlib import Path

from bench import Bench, Figure
from stages import COHORTE, FORMS, GROUPED, PROPAGATIONS, SCANNED

HEADS = ("stage", "by", "rows", "seconds", "CPU s", "peak MiB", "read MiB", "written MiB", "ours / theirs", "share of limit")


def table(bench: Bench) -> str:
    """As text that is Markdown, too."""
    seconds = known(bench)
    lines = [HEADS, tuple("-" * len(head) for head in HEADS)]
    for figure in bench.figures:
        limit = seconds.get(("limit", SCANNED)) if figure.stage == "full" else None
        lines.append(line(figure, seconds.get((figure.stage, COHORTE)), limit))
        lines += [("", f"· {name}", "", f"{part:.2f}", *[""] * 6) for name, part in figure.parts]
    widths = [max(len(cells[column]) for cells in lines) for column in range(len(HEADS))]
    padded = ([pad(cell, widths[column], column) for column, cell in enumerate(cells)] for cells in lines)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in padded)


def line(figure: Figure, ours: float | None, limit: float | None) -> tuple[str, ...]:
    cost = figure.cost
    ratio = f"{ours / cost.seconds:.2f}" if ours is not None and figure.by != COHORTE else ""
    share = f"{limit / cost.seconds:.0%}" if limit is not None else ""
    sizes = (f"{value:.0f}" for value in (cost.peak_mib, cost.read_mib, cost.written_mib))
    return (figure.stage, figure.by, f"{figure.rows:,}", f"{cost.seconds:.2f}", f"{cost.processor:.2f}", *sizes, ratio, share)


def pad(cell: str, width: int, column: int) -> str:
    return cell.ljust(width) if column < 2 else cell.rjust(width)


def known(bench: Bench) -> dict[tuple[str, str], float]:
    """Seconds of stages; of the parts of ours, too."""
    seconds = {(figure.stage, figure.by): figure.cost.seconds for figure in bench.figures}
    for figure in bench.figures:
        if figure.by == COHORTE:
            seconds |= {(figure.stage, name): part for name, part in figure.parts}
    return seconds


def ratios(bench: Bench) -> dict[str, float]:
    """What is promised is promised as ratios: machines differ."""
    ours, seconds = ("full", COHORTE), known(bench)
    asked = {f"full build / {by}": (ours, ("full", by)) for by in FORMS.values()}
    asked["features / rows per device in DataFusion"] = (("full", "features"), ("limit", GROUPED))
    asked |= {f"{stage} / full build": ((stage, COHORTE), ours) for stage in ("grown", "segment", "unchanged")}
    asked |= {f"identity / {by}": (("identity", COHORTE), ("identity", by)) for by in PROPAGATIONS.values()}
    return {name: round(seconds[left] / seconds[right], 3) for name, (left, right) in asked.items() if left in seconds and right in seconds}


def machine() -> dict:
    cpu = next((row.split(": ")[1] for row in Path("/proc/cpuinfo").read_text().splitlines() if row.startswith("model name")), platform.machine())
    gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)
    return {"cpu": cpu, "cores": os.cpu_count(), "memory_gib": round(gib, 1)}


def as_json(figure: Figure) -> dict:
    parts = {name: round(seconds, 3) for name, seconds in figure.parts}
    return {"stage": figure.stage, "by": figure.by, "rows": figure.rows, **figure.cost.as_json(), "parts": parts}


def keep(bench: Bench, load: float, version: str) -> None:
    """Appends a line to the results."""
    commit = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=bench.options.results.parent, capture_output=True, text=True)
    kept = {
        "at": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "commit": commit.stdout.strip(),
        "version": version,
        "machine": machine(),
        # Of other processes, before it began: what was measured beside them took longer.
        "load_before": round(load, 2),
        "sizes": bench.options.sizes(),
        "features": len(bench.models.features()),
        "ratios": ratios(bench),
        "figures": [as_json(figure) for figure in bench.figures],
    }
    with bench.options.results.open("a", encoding="utf-8") as results:
        results.write(json.dumps(kept, ensure_ascii=False) + "\n")
