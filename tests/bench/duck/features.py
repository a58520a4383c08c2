"""The pieces that both forms are made of: rows with their customer, aggregates, conditions."""

from catalogue import BY_NAME
from clock import since, written
from definitions import All, Any, Condition, Did, Feature, Not, Sql
from duck.session import Session

# Rows with their customer, in the order in which they must be made. An address that no customer has finds nobody: no need to
# ask whether it is one.
RELATIONS = {
    "web_events": """
        select who.customer_id, e.occurred_at as time, e.event_id as key, e.name, e.path, e.sku, e.category, e.cart_id, e.items, e.query, e.brochure
        from web_events e join who on who.vertex = hash('anonymous_id', e.anonymous_id) where e.occurred_at <= as_of()""",
    "orders": """
        select who.customer_id, o.ordered_at as time, o.order_id as key, o.status, o.channel, o.total
        from orders o join who on who.vertex = case
            when o.customer_ref is null then hash('email', lower(trim(o.email))) else hash('account_id', o.customer_ref) end
        where o.ordered_at <= as_of()""",
    "tickets": """
        select who.customer_id, t.sold_at as time, t.ticket_id as key, t.shop_id, t.total_ttc
        from tickets t join who on who.vertex = hash('card_no', t.card_no) where t.sold_at <= as_of()""",
    "email_events": """
        select who.customer_id, e.occurred_at as time, e.event_id as key, e.kind, e.campaign
        from email_events e join who on who.vertex = hash('email', lower(trim(e.recipient))) where e.occurred_at <= as_of()""",
    "purchase": """
        select customer_id, time, 'orders' as source, key, total as amount, 'web' as shop, channel from orders_resolved where status = 'paid'
        union all select customer_id, time, 'tickets', key, total_ttc, shop_id, 'shop' from tickets_resolved""",
}

GOLDEN = """
    select records.customer_id,
        first(email order by modified_at desc, place, record_key) filter (email is not null) as email,
        first(country order by modified_at desc, place, record_key) filter (country is not null) as country,
        first(city order by modified_at desc, place, record_key) filter (city is not null) as city,
        first(postcode order by modified_at desc, place, record_key) filter (postcode is not null) as postcode
    from records join (
        select 'crm_contacts' as source, contact_id as record_key, 0 as place, modified_at,
            address(email) as email, null as country, city, postcode from crm_contacts
        union all select 'web_accounts', id, 1, modified_at, address(email), country, null, null from web_accounts
    ) using (source, record_key)
    group by records.customer_id"""


def relation(feature: Feature) -> str:
    return BY_NAME[feature.event].relation


def rows(feature: Feature) -> str:
    """Which rows of its relation a feature counts."""
    window = f"time >= timestamptz '{written(since(feature.within))}'" if feature.within else None
    return " and ".join(filter(None, (BY_NAME[feature.event].condition, feature.condition, window))) or "true"


def aggregate(feature: Feature) -> str:
    column, where = feature.column, rows(feature)
    order = "(time, source, key)" if relation(feature) == "purchase" else "(time, key)"
    match feature.aggregate:
        case "count":
            # Faster than `count(*) filter (…)`, and narrower than what it gives.
            return f"cast(count_if({where}) as integer)"
        case "count_distinct":
            call = f"count(distinct {column})"
        case "sum":
            return f"coalesce(sum({column}) filter ({where}), 0)"
        case "last":
            call = f"arg_max({column}, {order})"
        case other:
            call = f"{other}({column})"
    return f"{call} filter ({where})"


def computed(session: Session, features: list[Feature], kind: str) -> list[str]:
    """Makes tables of features per customer, all of one relation in one pass; gives their names."""
    tables = []
    for source in RELATIONS:
        mine = [feature for feature in features if relation(feature) == source]
        fused = [feature for feature in mine if feature.aggregate != "mode"]
        if fused:
            columns = ", ".join(f"{aggregate(feature)} as {feature.name}" for feature in fused)
            session.table(f"{kind}_{source}", f"select customer_id, {columns} from {source}_resolved group by customer_id")
            tables.append(f"{kind}_{source}")
        for feature in mine:
            if feature.aggregate == "mode":
                session.table(f"{kind}_{feature.name}", mode(feature))
                tables.append(f"{kind}_{feature.name}")
    return tables


def mode(feature: Feature) -> str:
    """The most frequent value, the least of those that are equally frequent."""
    column = feature.column
    return f"""
        select customer_id, arg_min({column}, (-n, {column})) as {feature.name} from (
            select customer_id, {column}, count(*) as n from {relation(feature)}_resolved where {rows(feature)} and {column} is not null group by all)
        group by customer_id"""


def customers(features: list[Feature], tables: list[str]) -> str:
    """One row per customer: who is known, the golden record, and these features."""
    columns = "".join(
        f", coalesce({feature.name}, 0) as {feature.name}" if feature.is_zero_without_rows else f", {feature.name}" for feature in features
    )
    joins = "".join(f" left join {table} using (customer_id)" for table in tables)
    return f"""
        select customer_id, known.customer_id is not null as is_known, email, country, city, postcode{columns}
        from (select distinct customer_id from who) left join (select distinct customer_id from records) known using (customer_id)
        left join golden using (customer_id){joins}"""


def condition(tree: Condition, did) -> str:
    """A segment's condition; `did` writes those on behaviour."""
    match tree:
        case Did():
            return did(tree)
        case Sql(text=text):
            return f"coalesce({text.replace('now()', 'as_of()')}, false)"
        case Not(condition=inner):
            return f"not ({condition(inner, did)})"
        case All(conditions=several):
            return "(" + " and ".join(condition(inner, did) for inner in several) + ")"
        case Any(conditions=several):
            return "(" + " or ".join(condition(inner, did) for inner in several) + ")"
