"""Who is who: identifiers that occur together are linked, and each component is a customer.

A vertex is an identifier, its number the hash of type and value. Every record carries an identifier of its own, so that the
components of identifiers are those of records.
"""

from pathlib import Path

from duck.components import propagate
from duck.session import Session

# As cohorte reads addresses, on this data: what can be delivered to, in lower case. Some identify nobody.
MACROS = r"""
create macro address(given) as
  case when regexp_matches(lower(trim(given)), '^[^@\s.][^@\s]*@[a-z0-9-]+(\.[a-z0-9-]+)*\.[a-z]{2,}$') then lower(trim(given)) end;
create macro own(address) as
  case when address not like 'noreply@%' and address <> 'caisse@maison.example' and address not like '%@example.com' then address end;
"""

# Identifiers that occur together, in a record or in distinct tuples of a source that links.
PAIRS = """
with contacts as (select contact_id, own(address(email)) as email, own(address(email2)) as email2 from crm_contacts where not is_test),
  visits as (select distinct anonymous_id, user_id from web_events where occurred_at <= as_of()),
  orders as (select distinct customer_ref, email from orders where ordered_at <= as_of())
select 'crm_id' as type, contact_id as value, 'email' as other_type, email as other from contacts
union all select 'crm_id', contact_id, 'email', email2 from contacts where email2 is not null
union all select 'account_id', id, 'email', own(address(email)) from web_accounts
union all select 'card_no', card_no, 'crm_id', contact_id from loyalty_cards
union all select 'card_no', card_no, 'email', own(address(email)) from loyalty_cards where email is not null
union all select 'anonymous_id', anonymous_id, 'account_id', user_id from visits
union all select 'account_id', customer_ref, 'email', own(address(email)) from orders
"""

VERTICES = """
select distinct type, value, hash(type, value) as vertex from (
  select type, value from pairs where value is not null union all select other_type, other from pairs where other is not null)
"""

LINKS = """
with once as (select distinct hash(type, value) as a, hash(other_type, other) as b from pairs where value is not null and other is not null)
select a, b from once union all select b, a from once
"""

RECORDS = """
select 'crm_contacts' as source, contact_id as record_key, customer_id
from crm_contacts join who on vertex = hash('crm_id', contact_id) where not is_test
union all
select 'web_accounts', id, customer_id from web_accounts join who on vertex = hash('account_id', id)
"""


def resolve(session: Session, out: Path) -> None:
    """Makes `who` (vertex → customer) and `records`, and writes both."""
    session.run(MACROS)
    session.table("pairs", PAIRS)
    session.table("vertices", VERTICES)
    session.table("links", LINKS)
    propagate(session)
    session.table("numbers", "select label, cast(row_number() over () as integer) as customer_id from (select distinct label from labels)")
    session.table("who", "select type, value, vertex, customer_id from vertices join labels using (vertex) join numbers using (label)")
    session.table("records", RECORDS)
    session.write("select type, value, customer_id from who", out / "identifiers.parquet")
    session.write("select * from records", out / "records.parquet")
    for table in ("pairs", "vertices", "links", "labels", "changed", "better", "numbers"):
        session.run(f"drop table if exists {table}")
    session.step("identity")
