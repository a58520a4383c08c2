"""Time as the benchmark's project has it."""

from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

ZONE = "Europe/Paris"
# The history of the demonstration ends here.
AS_OF = datetime(2026, 11, 1, tzinfo=timezone.utc)


def since(days: int) -> datetime:
    """The start of a window of calendar days that ends with the history."""
    zone = ZoneInfo(ZONE)
    day = AS_OF.astimezone(zone).date() - timedelta(days=days)
    return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(timezone.utc)


def written(time: datetime) -> str:
    """As both command lines and SQL read it."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")
