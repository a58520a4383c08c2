"""Connected components by label propagation: a vertex takes the least label that its neighbours have, until none changes."""

from duck.session import Session

# Above so many, rewriting all labels is faster than updating some.
FEW = 500_000


def plain(session: Session) -> None:
    """As it is usually written: every round asks all links. From `vertices` and `links` (both ways) to `labels`."""
    session.table("labels", "select vertex, vertex as label from vertices")
    changed = True
    while changed:
        session.table(
            "next_labels",
            """select l.vertex, least(l.label, heard.label) as label, coalesce(heard.label < l.label, false) as is_new
               from labels l left join (
                   select links.a as vertex, min(told.label) as label from links join labels told on told.vertex = links.b group by links.a
               ) heard on heard.vertex = l.vertex""",
        )
        changed = session.run("select bool_or(is_new) from next_labels")[0][0]
        session.table("labels", "select vertex, label from next_labels")


def propagate(session: Session) -> None:
    """The same where only labels that changed are told: most components are done after a round or two."""
    session.table(
        "labels",
        """select vertex, least(vertex, heard.label) as label
           from vertices left join (select a as vertex, min(b) as label from links group by a) heard using (vertex)""",
    )
    session.table("changed", "select vertex, label from labels where label < vertex")
    while session.count("changed") > 0:
        session.table(
            "better",
            """select links.a as vertex, min(changed.label) as label
               from links join changed on changed.vertex = links.b join labels on labels.vertex = links.a
               where changed.label < labels.label group by links.a""",
        )
        if session.count("better") > FEW:
            session.table("labels", "select vertex, coalesce(better.label, labels.label) as label from labels left join better using (vertex)")
        else:
            session.run("update labels set label = better.label from better where better.vertex = labels.vertex")
        session.table("changed", "from better")
