"""Open every Delta table in a folder with three independent readers, and check that they read the same.

    readers.py TABLES

DuckDB (the Delta kernel, its own Parquet reader), Polars (its own Parquet reader) and deltalake (DataFusion) read each
table. They must agree in the number of rows, in an order-free checksum of every column, and in one of whole rows (so that
columns that were shuffled against one another are seen too). Anything else, a table that one of them cannot open above
all, makes the exit code 1.
"""

import pathlib
import sys

import duckdb
import polars as pl
from deltalake import DeltaTable, QueryBuilder
from duckdb_extensions import import_extension


def with_duckdb(path):
    db = duckdb.connect()
    import_extension("delta")
    db.execute("load delta")
    db.execute("set TimeZone = 'UTC'")
    return pl.DataFrame(db.sql("select * from delta_scan($path)", params={"path": str(path)}))


def with_polars(path):
    return pl.scan_delta(str(path)).collect()


def with_deltalake(path):
    table = QueryBuilder().register("t", DeltaTable(str(path))).execute("select * from t")
    return pl.DataFrame(table)


READERS = {"duckdb": with_duckdb, "polars": with_polars, "deltalake": with_deltalake}


def canonical(name, kind):
    """The same value in the same type, whatever a reader made of it."""
    column = pl.col(name)
    if isinstance(kind, pl.Datetime):
        column = column.cast(pl.Datetime("us", "UTC") if kind.time_zone else pl.Datetime("us")).dt.epoch("us")
    elif isinstance(kind, (pl.List, pl.Array)) and kind.inner in (pl.String, pl.Categorical):
        # A null list, an empty one and a list of one empty string stay different.
        column = column.cast(pl.List(pl.String)).list.eval(pl.element().fill_null("\0")).list.join("\1") + "\2" + column.list.len().cast(pl.String)
    elif isinstance(kind, (pl.List, pl.Array, pl.Struct)):
        column = column.map_elements(lambda value: repr(value.to_list() if isinstance(value, pl.Series) else value), return_dtype=pl.String)
    elif kind.is_float():
        column = column.cast(pl.Float64) + 0.0  # -0.0 is 0.0
    elif kind.is_decimal():
        column = column.cast(pl.String).str.replace(r"(\.\d*?)0+$", "$1").str.strip_suffix(".")
    elif kind.is_integer():
        column = column.cast(pl.Int64)
    elif kind in (pl.Categorical, pl.Enum):
        column = column.cast(pl.String)
    return column.alias(name)


def checksums(frame):
    """Sum of hashes per column and of whole rows: the order of rows does not matter, how often each occurs does."""
    zones = {name: f"time in {kind.time_zone or 'no zone'}" for name, kind in frame.schema.items() if isinstance(kind, pl.Datetime)}
    frame = frame.select(canonical(name, kind) for name, kind in sorted(frame.schema.items()))
    sums = {name: (zones.get(name), sum(series.hash(seed=1).to_list()) % 2**64) for name, series in zip(frame.columns, frame.get_columns())}
    sums["(whole rows)"] = sum(frame.hash_rows(seed=2).to_list()) % 2**64 if frame.width else 0
    return sums


def check(path):
    """Problems with one table, and how many rows it has."""
    problems, seen = [], {}
    for reader, read in READERS.items():
        try:
            frame = read(path)
            seen[reader] = (frame.height, checksums(frame))
        except Exception as error:  # whatever a reader raises means that it cannot read the table
            problems.append(f"{reader} cannot read it: {type(error).__name__}: {error}")
    if len(seen) < 2:
        return problems, 0
    first, (rows, sums) = next(iter(seen.items()))
    for reader, (other_rows, other_sums) in seen.items():
        if other_rows != rows:
            problems.append(f"{first} reads {rows} rows, {reader} {other_rows}")
        if other_sums.keys() != sums.keys():
            problems.append(f"columns of {first} and {reader} differ: {sorted(other_sums.keys() ^ sums.keys())}")
        problems += [f"column {name}: {first} and {reader} read different values" for name in sums if other_sums.get(name, sums[name]) != sums[name]]
    return problems, rows


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    folder = pathlib.Path(sys.argv[1]).resolve()
    tables = sorted(log.parent for log in folder.rglob("_delta_log") if log.is_dir())
    if not tables:
        sys.exit(f"{folder} has no Delta tables")
    failed = 0
    for table in tables:
        problems, rows = check(table)
        print(f"{'FAILED' if problems else 'same':8}{table.relative_to(folder)}  {rows} rows")
        for problem in problems:
            print(f"        {problem}")
        failed += bool(problems)
    if failed:
        sys.exit(f"{failed} of {len(tables)} tables are not read alike")
    print(f"{len(tables)} tables, read alike by {', '.join(READERS)}")


if __name__ == "__main__":
    main()
