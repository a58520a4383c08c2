"""Runs the stages that were asked for, prints the table, keeps the figures. `run` beside it prepares what this needs."""

import os
import sys

import data
import measure
import options
import report
import stages
from bench import Bench, remove

# What was built, as opposed to the data.
BUILT = ("project", "scan", "per_segment", "fused", "grown", "check", "people", "identity", "plain", "propagate")


def main() -> None:
    chosen = options.parse()
    load = os.getloadavg()[0]
    bench = Bench(chosen)
    if load > 0.5:
        bench.say(f"other processes keep this machine busy (load {load:.1f}): seconds will be too many")
    chosen.work.mkdir(parents=True, exist_ok=True)
    bench.say(f"{len(bench.models.traits)} traits and {len(bench.models.segments)} segments of {len(bench.models.features())} features")
    try:
        run(bench)
    except measure.Failed as failed:
        sys.exit(f"bench: {failed}")
    print(report.table(bench), end="\n\n")
    for name, ratio in report.ratios(bench).items():
        print(f"{name}: {ratio}")
    report.keep(bench, load, measure.run([str(chosen.cohorte), "--version"])[1].strip())
    if not chosen.keep:
        for name in BUILT:
            remove(bench.folder(name))


def run(bench: Bench) -> None:
    only = bench.options.only
    if set(only) - {"identity"}:
        sources = data.generate(bench.options)
        rows = bench.duck("count", "scan", data=sources)[1]["answer"]
        bench.say(", ".join(f"{count:,} {source}" for source, count in rows.items()))
        for stage in only:
            if stage != "identity":
                getattr(stages, stage)(bench, sources, rows)
    if "identity" in only:
        stages.identity(bench)


main()
