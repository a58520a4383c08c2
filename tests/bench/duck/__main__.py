"""One piece of work in a process of its own: `python -m duck SETTINGS`, JSON both ways."""

import json
import shutil
import sys
from pathlib import Path

from data import COLUMNS
from definitions import draw, with_new
from duck import components, forms, people, split
from duck.session import Session


def main() -> None:
    settings = json.loads(sys.argv[1])
    out = Path(settings["out"])
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    session = Session(settings["threads"], settings["memory"], out / "spill")
    data = Path(settings.get("data", out))
    answer = None
    match settings["work"]:
        case "scan":
            session.read(data)
            for source, columns in COLUMNS.items():
                session.run(f"select {', '.join(f'count({column})' for column in columns)} from {source}")
        case "count":
            session.read(data)
            answer = {source: session.count(source) for source in COLUMNS}
        case "group":
            session.read(data)
            session.run("select max(n) from (select anonymous_id, count(*) as n from web_events group by anonymous_id)")
        case "per_segment" | "fused" as form:
            session.read(data)
            models = with_new(draw(settings["traits"], settings["segments"]), settings["new"])
            getattr(forms, form)(session, models, out)
        case "split":
            split.split(session, data, out / "before", out / "later")
        case "people":
            answer = people.generate(session, settings["records"], out)
        case "plain" | "propagate" as form:
            people.resolve(session, data, out, getattr(components, form))
    print(json.dumps({"steps": session.steps, "answer": answer}))


main()
