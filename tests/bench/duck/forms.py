"""The two ways in which the pieces are put together."""

from pathlib import Path

from definitions import Did, Models
from duck import features
from duck.identity import resolve
from duck.session import Session


def per_segment(session: Session, models: Models, out: Path) -> None:
    """As a team has it: rows with their customer, a table of traits per source, a table of customers, a query per segment."""
    resolve(session, out)
    for source, sql in features.RELATIONS.items():
        session.table(f"{source}_resolved", sql)
    session.step("rows with their customer")
    traits = list(models.traits.values())
    tables = features.computed(session, traits, "traits")
    session.table("golden", features.GOLDEN)
    session.table("customers", features.customers(traits, tables))
    session.write("select * from customers", out / "customers.parquet")
    session.step("traits")
    (out / "members").mkdir()
    for name, tree in models.segments.items():
        where = features.condition(tree, having)
        session.write(f"select '{name}' as segment, customer_id from customers where is_known and {where}", out / f"members/{name}.parquet")
    session.step("segments")


def having(did: Did) -> str:
    """Those who did it, in a subquery."""
    feature = did.feature
    rows = f"from {features.relation(feature)}_resolved where {features.rows(feature)}"
    if did.least == 1 and did.most is None:
        return f"customer_id in (select customer_id {rows})"
    count = f">= {did.least}" if did.most is None else f"between {did.least} and {did.most}"
    return f"customer_id in (select customer_id {rows} group by customer_id having count(*) {count})"


def fused(session: Session, models: Models, out: Path) -> None:
    """As an expert writes it by hand: every feature of a source in one pass, and all segments over one wide table."""
    resolve(session, out)
    for source, sql in features.RELATIONS.items():
        # Events are read once, from the files; orders and tickets twice.
        if source in ("orders", "tickets"):
            session.table(f"{source}_resolved", sql)
        else:
            session.run(f"create view {source}_resolved as {sql}")
    every = models.features()
    tables = features.computed(session, every, "pass")
    session.step("features")
    session.table("golden", features.GOLDEN)
    session.table("wide", features.customers(every, tables))
    traits = "".join(f", {name}" for name in models.traits)
    session.write(f"select customer_id, is_known, email, country, city, postcode{traits} from wide", out / "customers.parquet")
    members = " union all ".join(
        f"select '{name}' as segment, customer_id from wide where is_known and {features.condition(tree, between)}"
        for name, tree in models.segments.items()
    )
    if members:
        (out / "members").mkdir()
        session.write(members, out / "members/all.parquet")
    session.step("customers and segments")


def between(did: Did) -> str:
    return f"{did.feature.name} >= {did.least}" if did.most is None else f"{did.feature.name} between {did.least} and {did.most}"
