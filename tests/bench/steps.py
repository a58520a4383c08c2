"""What `cohorte build --timings` says, in a few words: seconds of what belongs together."""

import json

# By the word with which a step begins.
ROOMS = {
    "checking": "sources checked",
    "counting": "customers and segments",
    "carrying": "features",
    "comparing": "tables published",
    "writing": "tables published",
    "tidying": "tables published",
}


def parts(said: str) -> list[tuple[str, float]]:
    """Of the lines that a build printed as JSON."""
    seconds: dict[str, float] = {}
    for line in map(json.loads, said.splitlines()):
        if line["kind"] == "step":
            part = room(line["step"])
            seconds[part] = seconds.get(part, 0) + line["seconds"]
    return list(seconds.items())


def room(step: str) -> str:
    if step.startswith("computing"):
        return "features" if "`pass_" in step else "customers and segments"
    return ROOMS.get(step.split()[0], "identity")
