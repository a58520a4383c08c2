"""What is asked for on the command line."""

import argparse
import os
from dataclasses import dataclass
from pathlib import Path

STAGES = ("limit", "full", "unchanged", "segment", "grown", "check", "identity")


@dataclass(frozen=True)
class Options:
    customers: int
    events: int
    traits: int
    segments: int
    records: int
    repeat: int
    threads: int
    # MiB, for both engines.
    memory: int
    work: Path
    only: tuple[str, ...]
    keep: bool
    cohorte: Path
    results: Path

    def sizes(self) -> dict[str, int]:
        return {name: getattr(self, name) for name in ("customers", "events", "traits", "segments", "records", "repeat", "threads", "memory")}


def mib(text: str) -> int:
    """`4GiB`, `512MiB`."""
    for suffix, factor in (("GiB", 1024), ("MiB", 1)):
        if text.endswith(suffix) and text.removesuffix(suffix).isdigit():
            return int(text.removesuffix(suffix)) * factor
    raise argparse.ArgumentTypeError(f"`{text}` is no size: write 4GiB or 512MiB")


def stages(text: str) -> tuple[str, ...]:
    chosen = text.split(",")
    for stage in chosen:
        if stage not in STAGES:
            raise argparse.ArgumentTypeError(f"no stage `{stage}`: there are {', '.join(STAGES)}")
    return tuple(stage for stage in STAGES if stage in chosen)


def parse() -> Options:
    parser = argparse.ArgumentParser(
        prog="tests/bench/run",
        description="Cohorte against DuckDB on the same data: seconds, memory, bytes; and do both say the same, row for row?",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        epilog="Stages: limit, what a bare scan costs; full, a build from nothing; unchanged, the same again; segment, one new segment on "
        "known features; grown, after 1 % new events; check, `cohorte check` on 2,000 traits and 500 segments; identity, records to "
        "named customers alone.",
    )
    of_the_machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // (1 << 20) * 7 // 10
    here = Path(__file__).resolve().parent
    target = Path(os.environ.get("CARGO_TARGET_DIR") or here.parent.parent / "target")
    parser.add_argument("--customers", type=int, default=1_000_000, help="people")
    parser.add_argument("--events", type=int, default=20_000_000, help="events of the site; orders, tickets and e-mails come on top")
    parser.add_argument("--traits", type=int, default=30)
    parser.add_argument("--segments", type=int, default=50)
    parser.add_argument("--records", type=int, default=10_000_000, help="records of the stage `identity`")
    parser.add_argument("--repeat", type=int, default=3, help="runs, of which the median counts")
    parser.add_argument("--threads", type=int, default=2, help="of both engines")
    parser.add_argument("--memory", type=mib, default=f"{of_the_machine}MiB", help="limit of both engines")
    parser.add_argument("--work", type=Path, default=target / "bench", help="folder of the data, which stays, and of all that is built")
    parser.add_argument("--only", type=stages, default=",".join(STAGES), metavar="STAGE,…", help="these stages")
    parser.add_argument("--keep", action="store_true", help="keep what was built, too")
    arguments = vars(parser.parse_args())
    arguments["work"] = arguments["work"].resolve()
    return Options(**arguments, cohorte=Path(os.environ["COHORTE"]).resolve(), results=here / "results.jsonl")
