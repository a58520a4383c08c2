"""The stages, in the order in which they run."""

import shutil
from datetime import timedelta
from pathlib import Path

import data
import definitions
import project
from bench import Bench, remove
from clock import AS_OF

COHORTE = "cohorte"
# What is measured beside it. Keys are DuckDB's pieces of work.
SCANNED, GROUPED = "DuckDB, bare scan", "DataFusion, rows per device"
FORMS = {"per_segment": "DuckDB, a query per segment", "fused": "DuckDB, fused by hand"}
PROPAGATIONS = {"plain": "DuckDB, all labels each round", "propagate": "DuckDB, changed labels alone"}


def limit(bench: Bench, sources: Path, rows: dict[str, int]) -> None:
    """What reading alone costs: every column that the project uses, and one group per device."""
    bench.measured("limit", SCANNED, sum(rows.values()), lambda _: (bench.duck("scan", "scan", data=sources)[0], []))
    bench.measured("limit", "DuckDB, rows per device", rows["web_events"], lambda _: (bench.duck("group", "scan", data=sources)[0], []))
    write(bench, bench.models, sources)
    sql = "select max(n) from (select anonymous_id, count(*) as n from web_events group by anonymous_id) devices"
    bench.measured("limit", GROUPED, rows["web_events"], lambda _: (bench.cohorte("query", bench.project, sql)[0], []))


def write(bench: Bench, models: definitions.Models, sources: Path) -> None:
    project.write(bench.project, sources, models, bench.options.threads, bench.options.memory)


def full(bench: Bench, sources: Path, rows: dict[str, int]) -> None:
    """Everything from nothing, on both sides."""
    write(bench, bench.models, sources)

    def build(_):
        remove(bench.project / "warehouse")
        return bench.build(bench.project)

    bench.measured("full", COHORTE, sum(rows.values()), build)
    for form, by in FORMS.items():

        def once(_, form=form):
            cost, answer = bench.duck(form, form, data=sources)
            return cost, answer["steps"]

        bench.measured("full", by, sum(rows.values()), once)
        bench.agree(f"full, {by}", bench.project, form)


def built(bench: Bench, sources: Path) -> None:
    """A project that is up to date, whatever ran before."""
    write(bench, bench.models, sources)
    bench.build(bench.project)


def unchanged(bench: Bench, sources: Path, rows: dict[str, int]) -> None:
    """The same build again."""
    built(bench, sources)
    bench.measured("unchanged", COHORTE, sum(rows.values()), lambda _: bench.build(bench.project))


def segment(bench: Bench, sources: Path, rows: dict[str, int]) -> None:
    """One new segment on features that are there, every time another one."""
    built(bench, sources)

    def once(number):
        write(bench, definitions.with_new(bench.models, number + 1), sources)
        return bench.build(bench.project)

    bench.measured("segment", COHORTE, sum(rows.values()), once)
    bench.duck("fused", "fused", data=sources, new=bench.options.repeat)
    bench.agree("segment", bench.project, "fused")


def grown(bench: Bench, sources: Path, rows: dict[str, int]) -> None:
    """The newest hundredth of all events comes a day later; then everything must be as from nothing."""
    bench.duck("split", "grown", data=sources)
    before, later, folder = bench.folder("grown/before"), bench.folder("grown/later"), bench.folder("grown/project")
    project.write(folder, before, bench.models, bench.options.threads, bench.options.memory)
    bench.build(folder, as_of=AS_OF - timedelta(days=1))
    shutil.copytree(folder / "warehouse", bench.folder("grown/warehouse"))

    def once(_):
        for source in data.TIMES:
            (before / source / "later.parquet").unlink(missing_ok=True)
        remove(folder / "warehouse")
        shutil.copytree(bench.folder("grown/warehouse"), folder / "warehouse")
        for source in data.TIMES:
            data.link(later / source / "later.parquet", before / source / "later.parquet")
        return bench.build(folder)

    new = sum(rows[source] for source in data.TIMES) // 100
    bench.measured("grown", COHORTE, new, once)
    bench.duck("fused", "fused", data=sources)
    bench.agree("grown", folder, "fused")


def check(bench: Bench, sources: Path, _rows: dict[str, int]) -> None:
    """Many models, and no data."""
    models, folder = definitions.draw(2000, 500), bench.folder("check")
    project.write(folder, sources, models, bench.options.threads, bench.options.memory)
    bench.measured("check", COHORTE, len(models.traits) + len(models.segments), lambda _: (bench.cohorte("check", folder)[0], []))


def identity(bench: Bench) -> None:
    """Records to named customers, and nothing else."""
    options = bench.options
    _, answer = bench.duck("people", "people", records=options.records)
    bench.say(f"identity: {options.records} records, {answer['answer']} times an identifier that others have, too")
    folder = bench.folder("identity")
    project.write_people(folder, bench.folder("people"), options.threads, options.memory)

    def build(_):
        remove(folder / "warehouse")
        return bench.build(folder)

    bench.measured("identity", COHORTE, options.records, build)
    for form, by in PROPAGATIONS.items():

        def once(_, form=form):
            cost, answer = bench.duck(form, form, data=bench.folder("people"))
            return cost, answer["steps"]

        bench.measured("identity", by, options.records, once)
        bench.agree(f"identity, {by}", folder, form)
