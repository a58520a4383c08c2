"""The data as it was before its newest events came: the latest hundredth of every source of events in files of their own."""

from pathlib import Path

from data import TIMES, files, link
from duck.session import Session


def split(session: Session, data: Path, before: Path, later: Path) -> None:
    """Fills `before` with every source, but for the rows that go to `later`."""
    for folder in sorted(path for path in data.iterdir() if path.is_dir()):
        source, time = folder.name, TIMES.get(folder.name)
        if time is None:
            for file in files(data, source):
                link(file, before / source / file.name)
            continue
        (before / source).mkdir(parents=True)
        (later / source).mkdir(parents=True)
        everything = f"read_parquet('{folder}/*.parquet')"
        [(cut,)] = session.run(f"select cast(quantile_disc({time}, 0.99) as varchar) from {everything}")
        for file in files(data, source):
            part = f"select * from read_parquet('{file}')"
            session.write(f"{part} where {time} <= timestamptz '{cut}' order by {time}", before / source / file.name)
        session.write(f"select * from {everything} where {time} > timestamptz '{cut}' order by {time}", later / source / "later.parquet")
