"""Do both engines say the same? `python compare.py OURS THEIRS`: a folder of Delta tables, a folder of DuckDB's results.

Customers have other ids on either side: who is who is compared first, and gives the ids' counterparts. Any difference is shown by
a few rows, and makes the exit code 1.
"""

import sys
from pathlib import Path

import duckdb
from duckdb_extensions import import_extension

SHOWN = 3


class Comparison:
    def __init__(self, ours: Path, theirs: Path):
        self.db = duckdb.connect()
        import_extension("delta")
        self.db.execute("load delta; set TimeZone = 'UTC'; set preserve_insertion_order = false")
        self.db.execute(f"set temp_directory = '{theirs / 'spill'}'")
        self.ours, self.theirs = ours, theirs
        self.differences = 0

    def load(self, name: str, table: str, columns: str, where: str = "true", files: str | None = None) -> bool:
        """Both sides' rows of one thing, as `our_NAME` and `their_NAME`; says whether they are there."""
        written = sorted(self.theirs.glob(files or f"{name}.parquet"))
        if not written:
            return False
        ours = f"select {columns} from delta_scan('{self.ours / table}') where {where}"
        self.db.execute(f"create table our_{name} as {ours}")
        self.db.execute(f"create table their_{name} as select * from read_parquet({[str(file) for file in written]})")
        return True

    def rows(self, sql: str) -> list[tuple]:
        return self.db.execute(sql).fetchall()

    def columns(self, table: str) -> dict[str, str]:
        return {name: kind for name, kind, *_ in self.rows(f"describe {table}")}

    def check(self, what: str, sql: str) -> None:
        """Rows of `sql` are differences."""
        count = self.rows(f"select count(*) from ({sql})")[0][0]
        if count:
            self.differences += count
            print(f"DIFFERENT  {what}: {count}", file=sys.stderr)
            for row in self.rows(f"from ({sql}) limit {SHOWN}"):
                print(f"           {row}", file=sys.stderr)

    def same_keys(self, name: str, key: str, what: str) -> None:
        """Each is once on our side, and on their side, too."""
        self.check(f"{what} that are there twice", f"select {key} from our_{name} group by {key} having count(*) > 1")
        for side, other in (("our", "their"), ("their", "our")):
            self.check(f"{what} on {side} side alone", f"select {key} from {side}_{name} anti join {other}_{name} using ({key})")

    def identity(self) -> None:
        """The same records and identifiers in the same components."""
        record = "source, record_key"
        self.load("records", "customer_records", f"{record}, customer_id", "role = 'record'")
        self.same_keys("records", record, "records")
        pairs = f"select o.customer_id as ours, t.customer_id as theirs from our_records o join their_records t using ({record})"
        if self.load("identifiers", "customer_identifiers", "type, value, customer_id"):
            self.same_keys("identifiers", "type, value", "identifiers")
            pairs += " union select o.customer_id, t.customer_id from our_identifiers o join their_identifiers t using (type, value)"
        self.db.execute(f"create table same as select distinct * from ({pairs})")
        self.check("customers that are several in DuckDB", "select ours, list(theirs) from same group by ours having count(*) > 1")
        self.check("customers of DuckDB that are several", "select theirs, list(ours) from same group by theirs having count(*) > 1")

    def customers(self) -> None:
        self.load("customers", "customer", "*")
        self.check("customers that are there twice", "select customer_id from our_customers group by customer_id having count(*) > 1")
        self.db.execute("create table matched as select customer_id, theirs from our_customers left join same on ours = customer_id")
        self.check("customers on our side alone", "select m.customer_id from matched m anti join their_customers t on t.customer_id = m.theirs")
        self.check("customers on their side alone", "select customer_id from their_customers t anti join matched m on m.theirs = t.customer_id")
        joined = "our_customers o join matched m using (customer_id) join their_customers t on t.customer_id = m.theirs"
        for column, kind in self.columns("their_customers").items():
            if column != "customer_id":
                unequal = differ(f'o."{column}"', f't."{column}"', kind)
                self.check(f"{column} (ours, theirs)", f'select o.customer_id, o."{column}", t."{column}" from {joined} where {unequal}')

    def members(self) -> None:
        if not self.load("members", "segment_members", "segment, entity_id as customer_id", "exited_at is null", "members/*.parquet"):
            return
        self.db.execute("create table our_mapped as select segment, theirs as customer_id from our_members join same on ours = customer_id")
        self.check("members that are there twice", "select segment, customer_id from our_members group by all having count(*) > 1")
        self.check("members on our side alone", "from our_mapped except from their_members")
        self.check("members on their side alone", "from their_members except from our_mapped")


def differ(ours: str, theirs: str, kind: str) -> str:
    """SQL: not the same value; doubles with some room."""
    if kind.startswith(("DECIMAL", "DOUBLE", "HUGEINT", "BIGINT", "INTEGER")):
        ours, theirs = f"cast({ours} as double)", f"cast({theirs} as double)"
        return f"({ours} is null) <> ({theirs} is null) or abs({ours} - {theirs}) > 1e-9 * greatest(abs({ours}), abs({theirs}))"
    if kind.startswith("TIMESTAMP"):
        ours, theirs = f"epoch_us({ours})", f"epoch_us({theirs})"
    return f"{ours} is distinct from {theirs}"


def main() -> None:
    comparison = Comparison(Path(sys.argv[1]), Path(sys.argv[2]))
    comparison.identity()
    if (comparison.theirs / "customers.parquet").exists():
        comparison.customers()
        comparison.members()
    if comparison.differences:
        sys.exit(f"{comparison.differences} differences between {sys.argv[1]} and {sys.argv[2]}")


if __name__ == "__main__":
    main()
