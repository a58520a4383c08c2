"""Records for identity alone: two or three of a person, with shared addresses, cards and devices.

An address of a shop stands in some hundred records each, and some devices serve a neighbour, too: so most components have one to
five records, some are chains, and a few are large.
"""

from pathlib import Path

from duck import components
from duck.session import Session

GENERATE = """
with drawn as (
    select record, cast(floor({records} * 0.4 * dice(record, 1)) as bigint) as person,
        dice(record, 2) as x, dice(record, 3) as y, dice(record, 4) as z
    from range({records}) numbers(record))
select 'R' || record as record_id,
    case when x < 0.001 then 'shop' || cast(floor(300 * dice(record, 5) ** 2) as integer) || '@maison.example'
         when x < 0.75 then 'p' || person || case when dice(record, 6) < 0.1 then '.2' else '' end || '@mail.example' end as email,
    case when y < 0.7 or x >= 0.75 then 'L' || person end as card_no,
    case when z < 0.5 then 'D' || (person + cast(dice(record, 7) < 0.06 as integer)) end as device_id
from drawn order by record"""

COUNTED = """
select sum(n) from (
    select count(*) as n from people where email is not null group by email having n > 1
    union all select count(*) as n from people where card_no is not null group by card_no having n > 1
    union all select count(*) as n from people where device_id is not null group by device_id having n > 1)"""


def generate(session: Session, records: int, folder: Path) -> int:
    """Writes them; how many (record, identifier) pairs there are whose identifier is shared."""
    session.run("create macro dice(record, throw) as hash(record * 16 + throw) / 18446744073709551616.0")
    session.run(f"copy ({GENERATE.format(records=records)}) to '{folder / 'people.parquet'}' (format parquet)")
    session.run(f"create view people as from read_parquet('{folder}/people.parquet')")
    return session.run(COUNTED)[0][0]


def resolve(session: Session, people: Path, out: Path, propagate=components.propagate) -> None:
    """Every record's customer."""
    session.table("records", f"select cast(row_number() over () as integer) as vertex, * from read_parquet('{people}/*.parquet')")
    session.table("vertices", "select vertex from records")
    session.table(
        "pairs",
        """select vertex, hash('email', email) as value from records where email is not null
           union all select vertex, hash('card_no', card_no) from records where card_no is not null
           union all select vertex, hash('device_id', device_id) from records where device_id is not null""",
    )
    # Whoever has a value is linked with the first that has it.
    session.table(
        "once",
        """select distinct vertex as a, least as b
           from pairs join (select value, min(vertex) as least from pairs group by value having count(*) > 1) using (value) where least < vertex""",
    )
    session.table("links", "select a, b from once union all select b, a from once")
    session.step("links")
    propagate(session)
    named = "select 'people' as source, record_id as record_key, label as customer_id from records join labels using (vertex)"
    session.write(named, out / "records.parquet")
    session.step("components")
