"""The sources: generated once per size, kept, and split into what was there before and what came since."""

import json
import os
import shutil
from pathlib import Path

import measure
from options import Options

# Which columns a build reads, and which of them tells when.
COLUMNS = {
    "crm_contacts": ("contact_id", "email", "email2", "city", "postcode", "modified_at", "is_test"),
    "web_accounts": ("id", "email", "country", "modified_at"),
    "loyalty_cards": ("card_no", "contact_id", "email"),
    "web_events": (
        *("event_id", "anonymous_id", "user_id", "name", "path", "occurred_at"),
        *("sku", "category", "cart_id", "items", "query", "brochure"),
    ),
    "orders": ("order_id", "customer_ref", "email", "ordered_at", "status", "total", "channel"),
    "tickets": ("ticket_id", "shop_id", "card_no", "total_ttc", "sold_at"),
    "email_events": ("event_id", "recipient", "campaign", "kind", "occurred_at"),
}
TIMES = {"web_events": "occurred_at", "orders": "ordered_at", "tickets": "sold_at", "email_events": "occurred_at"}


def generate(options: Options) -> Path:
    """The demonstration data of that size; made where it is not there yet, or was made by another version."""
    folder, stamp = options.work / "data", options.work / "data.json"
    _, version = measure.run([str(options.cohorte), "--version"])
    wanted = {"customers": options.customers, "events": options.events, "version": version.strip()}
    if stamp.exists() and json.loads(stamp.read_text()) == wanted:
        return folder
    stamp.unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)
    size = ["--customers", str(options.customers), "--events", str(options.events), "--as", "parquet"]
    measure.run([str(options.cohorte), "demo", str(folder), *size])
    stamp.write_text(json.dumps(wanted))
    return folder


def files(folder: Path, source: str) -> list[Path]:
    return sorted((folder / source).glob("*.parquet"))


def link(source: Path, target: Path) -> None:
    """The same file in another folder."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    os.link(source, target)
