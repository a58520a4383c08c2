"""What models of Maison are made of: events, their columns, and what is usually asked of them.

Conditions are written so that both engines read them alike.
"""

from dataclasses import dataclass, field

CATEGORIES = ["Bain", "Chambre", "Cuisine", "Décoration", "Enfant", "Jardin", "Luminaires", "Salon"]
SEARCHES = ["lampe", "tapis rond", "canape lin", "housse de couette", "salon de jardin", "vase", "miroir", "table basse"]
CAMPAIGNS = ["lettre-2026-07", "lettre-2026-08", "lettre-2026-09", "lettre-2026-10"]
SHOPS = [f"S{number:02}" for number in range(1, 25)]

# How far back, in days; None = since ever. Weights beside them: people ask for months more often than for weeks.
WINDOWS = {7: 1, 14: 1, 30: 6, 60: 1, 90: 6, 180: 1, 365: 4, None: 5}


@dataclass(frozen=True)
class Event:
    """One name for one fact, how often it is asked for, and what is asked."""

    name: str
    # The relation that its rows are in, and which of them are meant.
    relation: str
    condition: str | None
    weight: int
    # Short name → condition on its rows.
    filters: dict[str, str] = field(default_factory=dict)
    # Columns that are text: count_distinct, mode, last. Columns that are numbers: sum, avg, min, max.
    texts: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()


def named(column: str, values: list[str]) -> dict[str, str]:
    return {plain(value): f"{column} = '{value}'" for value in values}


def plain(text: str) -> str:
    """As part of a name."""
    return text.lower().replace("é", "e").replace(" ", "_").replace("-", "_")


def site(name: str, weight: int, filters: dict[str, str], texts: tuple[str, ...], numbers: tuple[str, ...] = ()) -> Event:
    return Event(name, "web_events", f"name = '{name}'", weight, filters, texts, numbers)


def mail(kind: str, weight: int) -> Event:
    return Event(f"email_{kind}", "email_events", f"kind = '{kind}'", weight, named("campaign", CAMPAIGNS), ("campaign",))


EVENTS = [
    site(
        "page_viewed",
        4,
        {
            "home": "path = '/'",
            "new": "path = '/nouveautes'",
            "promotions": "path = '/promotions'",
            "shops": "path = '/magasins'",
            "categories": "path like '/categorie/%'",
            **named("category", CATEGORIES),
        },
        ("path", "category"),
    ),
    site("product_viewed", 7, named("category", CATEGORIES), ("sku", "category")),
    site("cart_updated", 3, {"several": "items >= 2", "saved": "cart_id is not null"}, ("cart_id",), ("items",)),
    site("search", 2, named("query", SEARCHES), ("query",)),
    site("brochure_downloaded", 2, named("brochure", ["printemps-ete", "automne-hiver", "cuisines"]), ("brochure",)),
    Event(
        "purchase",
        "purchase",
        None,
        8,
        {
            "shop": "channel = 'shop'",
            "not_shop": "channel <> 'shop'",
            "app": "channel = 'app'",
            "phone": "channel = 'phone'",
            "small": "amount < 50",
            "large": "amount >= 200",
            "very_large": "amount >= 500",
        },
        ("shop", "channel"),
        ("amount",),
    ),
    Event("order_undone", "orders", "status in ('cancelled', 'refunded')", 1, named("channel", ["web", "app"]), ("channel",), ("total",)),
    Event("tickets", "tickets", None, 1, named("shop_id", SHOPS), ("shop_id",), ("total_ttc",)),
    mail("opened", 3),
    mail("clicked", 3),
    mail("sent", 1),
]
BY_NAME = {event.name: event for event in EVENTS}

# Conditions on the golden record.
ATTRIBUTES = {
    "country = 'FR'": 5,
    "country <> 'FR'": 1,
    "country in ('BE', 'LU')": 1,
    "city = 'Paris'": 2,
    "city in ('Lyon', 'Marseille', 'Nice')": 1,
    "postcode like '75%'": 2,
    "postcode like '69%'": 1,
    "email like '%@gmail.example'": 1,
}
