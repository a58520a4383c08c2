"""The project that is built: the models that stand beside this file, and those that were drawn."""

import json
import shutil
from pathlib import Path

from clock import ZONE
from definitions import All, Any, Condition, Did, Feature, Models, Not, Sql

HERE = Path(__file__).resolve().parent


def write(folder: Path, data: Path, models: Models, threads: int, memory: int) -> None:
    """Writes a project over the sources in `data`; its tables stay."""
    shutil.copytree(HERE / "project", folder, dirs_exist_ok=True)
    settings(folder, data, threads, memory)
    section(folder / "models/traits.yaml", "traits", {name: of_trait(feature) for name, feature in models.traits.items()})
    segments = {name: {"when": of_condition(condition)} for name, condition in models.segments.items()}
    section(folder / "models/segments.yaml", "segments", segments)


def write_people(folder: Path, data: Path, threads: int, memory: int) -> None:
    """Writes a project of identity alone."""
    shutil.copytree(HERE / "people", folder, dirs_exist_ok=True)
    settings(folder, data, threads, memory)


def settings(folder: Path, data: Path, threads: int, memory: int) -> None:
    written = {
        "name": "bench",
        "warehouse": {"root": "./warehouse"},
        "timezone": ZONE,
        "engine": {"threads": threads, "memory": f"{memory}MiB"},
        "vars": {"data": str(data)},
    }
    lines = [f"{key}: {json.dumps(value)}\n" for key, value in written.items()]
    (folder / "warehouse.yaml").write_text("".join(lines), encoding="utf-8")


def section(file: Path, name: str, models: dict[str, dict]) -> None:
    lines = [f"  {model}: {json.dumps(body, ensure_ascii=False)}\n" for model, body in models.items()]
    file.write_text(f"{name}:\n{''.join(lines)}" if models else "", encoding="utf-8")


def of_trait(feature: Feature) -> dict:
    of = f"{feature.event}.{feature.column}" if feature.column else feature.event
    return {feature.aggregate: of, **rows(feature)}


def rows(feature: Feature) -> dict:
    body: dict = {}
    if feature.condition:
        body["where"] = feature.condition
    if feature.within:
        body["within"] = f"{feature.within}d"
    return body


def of_condition(condition: Condition) -> dict | str:
    match condition:
        case Did(feature=feature, least=least, most=most):
            count = {"min": least} if most is None else {"min": least, "max": most}
            return {"did": feature.event, **rows(feature), "count": count}
        case Sql(text=text):
            return text
        case Not(condition=inner):
            return {"not": of_condition(inner)}
        case All(conditions=several):
            return {"all": [of_condition(inner) for inner in several]}
        case Any(conditions=several):
            return {"any": [of_condition(inner) for inner in several]}
