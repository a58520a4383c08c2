"""Traits and segments of any number, drawn by a seed: what both engines compute."""

import random
from dataclasses import dataclass

from catalogue import ATTRIBUTES, BY_NAME, EVENTS, WINDOWS, Event

# How many rows a condition asks for at least: visits are many, purchases few.
COUNTS = {"web_events": {1: 4, 2: 3, 3: 3, 5: 2, 10: 1}}
FEW = {1: 10, 2: 2}
AGGREGATES = {"count": 10, "sum": 3, "max": 3, "min": 1, "avg": 1, "count_distinct": 2, "mode": 1, "last": 1}


@dataclass(frozen=True)
class Feature:
    """What is computed of one customer's rows of one event; equal features are computed once."""

    event: str
    aggregate: str = "count"
    # None for counts; `time` is the event's own time.
    column: str | None = None
    # Short name of a filter of the catalogue.
    filter: str | None = None
    within: int | None = None

    @property
    def name(self) -> str:
        parts = [self.aggregate if self.aggregate != "count" else "n", self.event, self.column, self.filter]
        return "_".join(part for part in parts if part) + (f"_{self.within}d" if self.within else "")

    @property
    def condition(self) -> str | None:
        return BY_NAME[self.event].filters[self.filter] if self.filter else None

    @property
    def is_text(self) -> bool:
        return self.aggregate in ("mode", "last")

    @property
    def is_zero_without_rows(self) -> bool:
        return self.aggregate in ("count", "count_distinct", "sum")


@dataclass(frozen=True)
class Did:
    """Between `least` and `most` rows."""

    feature: Feature
    least: int = 1
    most: int | None = None


@dataclass(frozen=True)
class Sql:
    """A condition on traits and attributes; null is false."""

    text: str


@dataclass(frozen=True)
class Not:
    condition: "Condition"


@dataclass(frozen=True)
class All:
    conditions: tuple["Condition", ...]


@dataclass(frozen=True)
class Any:
    conditions: tuple["Condition", ...]


Condition = Did | Sql | Not | All | Any


@dataclass(frozen=True)
class Models:
    """Traits and segments by name."""

    traits: dict[str, Feature]
    segments: dict[str, Condition]

    def features(self) -> list[Feature]:
        """Every distinct one, traits' first."""
        conditions = [feature for segment in self.segments.values() for feature in features_of(segment)]
        return list(dict.fromkeys([*self.traits.values(), *conditions]))


def features_of(condition: Condition) -> list[Feature]:
    match condition:
        case Did(feature=feature):
            return [feature]
        case Sql():
            return []
        case Not(condition=inner):
            return features_of(inner)
        case All(conditions=several) | Any(conditions=several):
            return [feature for inner in several for feature in features_of(inner)]


# What everybody has.
USUAL = [
    Feature("purchase"),
    Feature("purchase", "sum", "amount"),
    Feature("purchase", "max", "time"),
    Feature("purchase", within=365),
    Feature("purchase", "sum", "amount", within=365),
    Feature("purchase", "avg", "amount"),
    Feature("purchase", "mode", "shop"),
    Feature("purchase", "last", "channel"),
    Feature("page_viewed", within=30),
    Feature("page_viewed", "max", "time"),
    Feature("product_viewed", "count_distinct", "sku", within=90),
    Feature("product_viewed", "mode", "category"),
    Feature("email_opened", within=90),
    Feature("email_clicked", "max", "time"),
]


class Draw:
    """Draws models; the same seed draws the same ones, and more of them begin with the same ones."""

    def __init__(self, seed: int):
        self.dice = random.Random(seed)
        # What segments asked so far: people copy conditions from one another.
        self.asked: list[Feature] = []

    def one(self, weights: dict):
        return self.dice.choices(list(weights), list(weights.values()))[0]

    def chance(self, share: float) -> bool:
        return self.dice.random() < share

    def event(self) -> Event:
        return BY_NAME[self.one({event.name: event.weight for event in EVENTS})]

    def filter(self, event: Event, share: float) -> str | None:
        if not event.filters or not self.chance(share):
            return None
        # The first ones are asked for more often.
        return self.one({name: 1 / (rank + 1) for rank, name in enumerate(event.filters)})

    def window(self, event: Event, chosen: str | None) -> int | None:
        # A campaign is of a month already.
        return None if chosen and event.relation == "email_events" else self.one(WINDOWS)

    def trait(self) -> Feature:
        event = self.event()
        aggregate = self.one(AGGREGATES)
        columns = {"count": [None], "max": ["time", *event.numbers], "min": ["time", *event.numbers]}.get(
            aggregate, event.numbers if aggregate in ("sum", "avg") else event.texts
        )
        if not columns:
            return self.trait()
        chosen, asked = self.filter(event, 0.3), self.dice.choice(columns)
        feature = Feature(event.name, aggregate, asked, chosen, self.window(event, chosen))
        # Of one category, the most frequent category is no question.
        return self.trait() if feature.condition and feature.condition.startswith(f"{feature.column} ") else feature

    def did(self) -> Did:
        if self.asked and self.chance(0.45):
            feature = self.dice.choice(self.asked)
        else:
            event = self.event()
            chosen = self.filter(event, 0.3)
            feature = Feature(event.name, filter=chosen, within=self.window(event, chosen))
            self.asked.append(feature)
        least = self.one(COUNTS.get(BY_NAME[feature.event].relation, FEW))
        return Did(feature, least, least + self.dice.randrange(4) if self.chance(0.1) else None)

    def sql(self, traits: dict[str, Feature]) -> Sql:
        if self.chance(0.4) or not traits:
            return Sql(self.one(ATTRIBUTES))
        name, feature = self.dice.choice(list(traits.items()))
        if feature.column == "time":
            days = self.dice.choice([30, 90, 180])
            return Sql(f"{name} {self.dice.choice(['<', '>='])} now() - interval '{days} days'")
        if feature.is_text:
            return Sql(f"{name} is {self.dice.choice(['', 'not '])}null")
        if feature.aggregate.startswith("count"):
            return Sql(f"{name} >= {self.dice.choice([1, 1, 2])}")
        return Sql(f"{name} >= {2 if feature.column == 'items' else self.dice.choice([20, 50, 100, 250])}")

    def leaf(self, traits: dict[str, Feature]) -> Condition:
        leaf = self.sql(traits) if self.chance(0.25) else self.did()
        return Not(leaf) if self.chance(0.15) else leaf

    def segment(self, traits: dict[str, Feature]) -> Condition:
        """One to three conditions of which one can be a choice of two, and at least one is about behaviour."""
        conditions: list[Condition] = [self.did()]
        for _ in range(self.one({0: 2, 1: 5, 2: 3})):
            one = self.leaf(traits)
            conditions.append(Any((one, self.leaf(traits))) if self.chance(0.25) else one)
        whole = All(tuple(conditions)) if len(conditions) > 1 else conditions[0]
        asked = features_of(whole)
        return whole if len(set(asked)) == len(asked) else self.segment(traits)


def draw(traits: int, segments: int, seed: int = 1) -> Models:
    """So many distinct traits and segments."""
    drawn = Draw(seed)
    features = {feature.name: feature for feature in USUAL[:traits]}
    while len(features) < traits:
        feature = drawn.trait()
        features[feature.name] = feature
    drawn = Draw(seed + 1)
    return Models(features, {f"segment_{number:03}": drawn.segment(features) for number in range(segments)})


def with_new(models: Models, number: int) -> Models:
    """The same and so many segments more, which ask only what is computed already."""
    counts = [feature for feature in models.features() if feature.aggregate == "count"]
    new = {f"new_{n:03}": All((Did(counts[n % len(counts)]), Not(Did(counts[(n + len(counts) // 2) % len(counts)], 2)))) for n in range(number)}
    return Models(models.traits, {**models.segments, **new})
