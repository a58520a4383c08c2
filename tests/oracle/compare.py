"""Compare what Cohorte built with figures that were computed independently.

    compare.py NAME TABLES [--repository DIR] [--as-of TIME]

NAME is a file here without `.sql` (complete_journey, online_retail, root_project), TABLES the folder of the built tables
(<warehouse root>/<schema>). Every attribute, trait and score of every customer, every member of every segment, and the rows
that every sync holds as delivered are compared; differences are printed, and any of them makes the exit code 1.

The SQL leaves these tables:
    oracle_customers    one row per customer; its first column is the natural key, which is also a column of `customer`
    oracle_segments     segment, key, certain (false: may be a member, need not be; ties that a hashed id breaks)
    oracle_syncs        sync, least, greatest: how many rows are delivered
    oracle_tolerances   column_name, tolerance: columns that are compared with an absolute tolerance
    oracle_tiers        (optional) key, column_name, least, greatest: a tier lies in this range
    oracle_tier_sizes   (optional) column_name, tier, size: and each tier has exactly this many
    oracle_granted      (optional) contact_point, purpose, channel, certain: what is granted, and nothing else is
    oracle_skipped      (optional) key: customers whose figures are not known independently; at most a tenth
    oracle_ignored      (optional) column_name: columns of `customer` that are taken as built
"""

import argparse
import os
import pathlib
import sys

import duckdb
from duckdb_extensions import import_extension

# Columns of `customer` that are not the project's definitions.
HOUSEKEEPING = {
    "customer_id", "segments", "is_known", "emails", "phones", "household_id", "first_seen_at", "last_seen_at",
    "updated_at", "n_records", "rfm",
}  # fmt: skip
NUMBERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT",
           "FLOAT", "DOUBLE", "DECIMAL")  # fmt: skip
SHOWN = 5


class Comparison:
    """One database that holds both sides, and the differences found so far."""

    def __init__(self, sql, tables):
        self.db = duckdb.connect()
        import_extension("delta")
        self.db.execute("load delta")
        self.db.execute(sql)
        self.tables = tables
        self.differences = 0
        self.compared = 0

    def load(self, name):
        """Make the Delta table `name` a table of the database; says whether there is one."""
        path = self.tables / name
        if not (path / "_delta_log").is_dir():
            return False
        self.db.execute(f"create table {name} as select * from delta_scan(?)", [str(path)])
        return True

    def has(self, table):
        return self.rows("select count(*) from duckdb_tables() where table_name = ?", [table])[0][0] > 0

    def rows(self, query, parameters=None):
        return self.db.execute(query, parameters or []).fetchall()

    def types(self, table):
        return {name: kind for name, kind, *_ in self.rows(f"describe {table}")}

    def differ(self, what, count, examples):
        self.differences += count
        print(f"DIFFERENT  {what}: {count} rows")
        for example in examples[:SHOWN]:
            print(f"           {example}")

    def check(self, what, query, parameters=None):
        """Rows of `query` are differences."""
        self.compared += 1
        rows = self.rows(query, parameters)
        if rows:
            self.differ(what, len(rows), rows)


def is_number(kind):
    return kind.startswith(NUMBERS)


def unequal(column, left, right, tolerance):
    """SQL: `o.column` (ours to trust) and `c.column` (built) are not the same value. None where the types cannot be compared."""
    o, c = f'o."{column}"', f'c."{column}"'
    if is_number(left) and is_number(right):
        o, c = f"cast({o} as double)", f"cast({c} as double)"
        allowed = tolerance if tolerance is not None else f"1e-11 * greatest(abs({o}), abs({c}))"
        return f"(({o} is null) <> ({c} is null) or abs({o} - {c}) > {allowed})"
    if left.startswith("TIMESTAMP") and right.startswith("TIMESTAMP"):
        return f"epoch_us({o}) is distinct from epoch_us({c})"
    if left == right:
        return f"{o} is distinct from {c}"
    return None


def compare_customers(run):
    oracle, built = run.types("oracle_customers"), run.types("customer")
    key = next(iter(oracle))
    if key not in built:
        sys.exit(f"`customer` has no column {key}, the natural key: its columns are {', '.join(built)}")
    if not run.has("oracle_skipped"):
        run.db.execute("create table oracle_skipped (key varchar)")
    for side, table in (("o", "oracle_customers"), ("c", "customer")):
        run.db.execute(f"""create table {side} as select cast("{key}" as varchar) as natural_key, * from {table}
            where "{key}" is null or cast("{key}" as varchar) not in (select cast(key as varchar) from oracle_skipped)""")
    run.db.execute("delete from oracle_segments where cast(key as varchar) in (select cast(key as varchar) from oracle_skipped)")
    skipped, everybody = run.rows("select (select count(*) from oracle_skipped), (select count(*) from oracle_customers)")[0]
    if skipped:
        print(f"skipped     {skipped} of {everybody} customers have no independent figures")
        if skipped * 10 > everybody:
            run.differ("customers that cannot be compared", skipped, [])
    run.check("customers that should be there", "select natural_key from o anti join c using (natural_key) order by all")
    run.check("customers that should not be there", "select natural_key, customer_id from c anti join o using (natural_key) order by all")
    run.check("customers with one natural key", "select natural_key, count(*) from c group by all having count(*) > 1 order by all")

    tolerances = dict(run.rows("select * from oracle_tolerances"))
    for column, kind in oracle.items():
        if column not in built:
            run.differ(f"customer.{column}", 1, ["the column is missing"])
            continue
        condition = unequal(column, kind, built[column], tolerances.get(column))
        if condition is None:
            run.differ(f"customer.{column}", 1, [f"expected {kind}, the table has {built[column]}"])
            continue
        run.check(f"customer.{column} (key, expected, built)",
                  f'select natural_key, o."{column}", c."{column}" from o join c using (natural_key) where {condition} order by all')
    tiers = {row[0] for row in run.rows("select distinct column_name from oracle_tiers")} if run.has("oracle_tiers") else set()
    ignored = {row[0] for row in run.rows("select column_name from oracle_ignored")} if run.has("oracle_ignored") else set()
    unknown = [column for column in built if column not in oracle and column not in HOUSEKEEPING | tiers | ignored]
    if unknown:
        run.differ("columns of customer without an independent figure", len(unknown), unknown)
    compare_tiers(run, tiers)


def compare_tiers(run, columns):
    built = run.types("customer")
    for column in sorted(columns):
        if column not in built:
            run.differ(f"customer.{column}", 1, ["the column is missing"])
            continue
        run.check(f"customer.{column} outside its range (key, least, greatest, built)", f"""
            select natural_key, t.least, t.greatest, c."{column}"
            from c left join (select * from oracle_tiers where column_name = '{column}') t on cast(t.key as varchar) = c.natural_key
            where c."{column}" is distinct from least(greatest(c."{column}", t.least), t.greatest) order by all""")
        run.check(f"size of the tiers of {column} (tier, expected, built)", f"""
            select tier, e.size, b.size
            from (select tier, size from oracle_tier_sizes where column_name = '{column}') e
            full join (select "{column}" as tier, count(*) as size from customer where "{column}" is not null group by all) b using (tier)
            where e.size is distinct from b.size order by all""")
    if {"rfm_recency", "rfm_frequency", "rfm_monetary"} <= columns and "rfm" in built:
        run.check("rfm is not its three tiers", """
            select natural_key, rfm, rfm_recency, rfm_frequency, rfm_monetary from c
            where rfm is distinct from cast(rfm_recency as varchar) || cast(rfm_frequency as varchar) || cast(rfm_monetary as varchar)""")


def compare_segments(run):
    if not run.load("segment_members"):
        run.differ("segment_members", 1, [f"no such table in {run.tables}"])
        return
    run.db.execute("""create table built_members as select m.segment, c.natural_key, m.entity_id
        from segment_members m left join c on c.customer_id = m.entity_id
        where m.exited_at is null and m.entity_id not in (select cast(key as varchar) from oracle_skipped)""")
    run.check("members who are no customers", "select segment, entity_id from built_members where natural_key is null order by all")
    run.check("members counted twice", "select segment, natural_key, count(*) from built_members group by all having count(*) > 1 order by all")
    run.check("segments without an independent figure", "select distinct segment from built_members anti join oracle_segments using (segment) order by all")
    for (segment,) in run.rows("select distinct segment from oracle_segments order by all"):
        run.check(f"segment {segment}: should be members", """
            select cast(key as varchar) as natural_key from oracle_segments where segment = $1 and certain
            except select natural_key from built_members where segment = $1 order by all""", [segment])
        run.check(f"segment {segment}: should not be members", """
            select natural_key from built_members where segment = $1
            except select cast(key as varchar) from oracle_segments where segment = $1 order by all""", [segment])


def compare_syncs(run):
    if not run.load("sync_state"):
        print("syncs       not compared: nothing has been sent")
        return
    run.check("rows held as delivered (sync, least, greatest, delivered)", """
        select sync, o.least, o.greatest, coalesce(d.n, 0)
        from oracle_syncs o
        full join (select sync, count(*) as n from sync_state where delivered_hash is not null group by all) d using (sync)
        where coalesce(d.n, 0) not between coalesce(o.least, -1) and coalesce(o.greatest, -1) order by all""")


def compare_consents(run):
    if not run.has("oracle_granted"):
        return
    if not run.load("consents"):
        run.differ("consents", 1, [f"no such table in {run.tables}"])
        return
    run.db.execute("""create table built_granted as
        select distinct contact_point, purpose, channel from consents where status = 'granted' and customer_id is not null""")
    # Contact points are personal data: how many, and of which purpose, is enough to go on.
    run.check("consents that should be granted (purpose, channel, how many)", """
        select purpose, channel, count(*) from (
            select contact_point, purpose, channel from oracle_granted where certain except select * from built_granted) group by all order by all""")
    run.check("consents that should not be granted (purpose, channel, how many)", """
        select purpose, channel, count(*) from (
            select * from built_granted except select contact_point, purpose, channel from oracle_granted) group by all order by all""")


def main():
    here = pathlib.Path(__file__).resolve().parent
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("name", help="which figures: " + ", ".join(sorted(path.stem for path in here.glob("*.sql"))))
    arguments.add_argument("tables", type=pathlib.Path, help="folder of the built tables")
    arguments.add_argument("--repository", type=pathlib.Path, default=here.parent.parent, help="where the SQL finds the raw data")
    arguments.add_argument("--as-of", default="2026-11-01T00:00:00Z", help="the time of the build (root_project; the examples have their own)")
    chosen = arguments.parse_args()
    tables = chosen.tables.resolve()
    sql = (here / f"{chosen.name}.sql").read_text(encoding="utf-8")
    os.chdir(chosen.repository)

    run = Comparison(sql.replace("${tables}", str(tables)).replace("${as_of}", chosen.as_of), tables)
    if not run.load("customer"):
        sys.exit(f"{tables} has no table `customer`")
    compare_customers(run)
    compare_segments(run)
    compare_syncs(run)
    compare_consents(run)
    customers, segments = run.rows("select (select count(*) from o), (select count(distinct segment) from oracle_segments)")[0]
    if run.differences:
        sys.exit(f"{chosen.name}: {run.differences} differences in {run.compared} comparisons")
    print(f"{chosen.name}: {customers} customers, {segments} segments, {run.compared} comparisons, no difference")


if __name__ == "__main__":
    main()
