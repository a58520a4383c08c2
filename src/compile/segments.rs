//! Stays in segments: who enters, who leaves, who stays.

use super::customer::membership;
use crate::project::{Entity, Project, Segment};
use crate::sql::{Select, ident, text_literal};

/// A hash of what defines a segment's members: when it changes, entries and exits are the definition's doing.
#[must_use]
pub fn definition_hash(project: &Project, segment: &Segment) -> String {
    let mut text = format!("{:?}{}", segment.when, segment.anonymous);
    // What the definition reads belongs to it: other segments and traits by their own definitions.
    let mut names = segment.reads.clone();
    segment.when.named_segments(&mut names);
    for name in &names {
        if let Some(other) = project.segments.get(name).filter(|other| other.name != segment.name) {
            text.push_str(&definition_hash(project, other));
        }
        if let Some(one) = project.traits.get(name) {
            text.push_str(&format!("{:?}", one.kind));
        }
        if let Some(score) = project.scores.get(name) {
            text.push_str(&format!("{:?}", score.kind));
        }
    }
    blake3::hash(text.as_bytes()).to_hex().as_str()[..32].to_owned()
}

/// One row per segment of an entity with its members now, before, entered and exited. Reads the wide relation as
/// `<entity>_wide` and the open stays as `open_stays`.
#[must_use]
pub fn sizes(entity: &Entity, segment: &Segment) -> String {
    let id = ident(&entity.id());
    let name = text_literal(&segment.name);
    let column = ident(&membership(&segment.name));
    format!(
        "select\n  count(w.{id}) as members,\n  count(o.entity_id) as members_before,\n  count(w.{id}) filter (where o.entity_id is null) as entered,\n  count(o.entity_id) filter (where w.{id} is null) as exited\n\
         from (select {id} from {wide} where {column}) as w\nfull join (select entity_id from open_stays where segment = {name} and entity = {entity}) as o\n  on o.entity_id = w.{id}",
        wide = ident(&format!("{}_wide", entity.name)),
        entity = text_literal(&entity.name),
    )
}

/// The stays of a segment after this run, in the columns of `segment_members`: closed stays as they were, open ones kept or
/// closed, and new ones. Reads `stays`, `<entity>_wide`, and `merged_ids` (old id → surviving id).
#[must_use]
pub fn stays(entity: &Entity, segment: &Segment, hash: &str, entry: &str, exit: &str) -> String {
    let id = ident(&entity.id());
    let name = text_literal(&segment.name);
    let column = ident(&membership(&segment.name));
    let wide = ident(&format!("{}_wide", entity.name));
    let columns = "segment, entity, entity_id, entered_at, exited_at, entry_reason, exit_reason, definition_hash";
    let kept = format!("select {columns} from stays where segment = {name} and exited_at is not null");
    let open = Select::from("(select * from stays where exited_at is null) as o")
        .join(format!("left join (select {id} from {wide} where {column}) as w on w.{id} = o.entity_id"))
        .join("left join merged_ids as m on m.old_id = o.entity_id")
        .column("o.segment", "segment")
        .column("o.entity", "entity")
        .column("o.entity_id", "entity_id")
        .column("o.entered_at", "entered_at")
        .column(format!("case when w.{id} is null then cohorte_now() end"), "exited_at")
        .column("o.entry_reason", "entry_reason")
        .column(format!("case when w.{id} is not null then cast(null as varchar) when m.old_id is not null then 'merge' else {} end", text_literal(exit)), "exit_reason")
        .column("o.definition_hash", "definition_hash")
        .filter(format!("o.segment = {name}"));
    let new = Select::from(format!("(select {id} from {wide} where {column}) as w"))
        .join(format!("left anti join (select entity_id from stays where exited_at is null and segment = {name}) as o on o.entity_id = w.{id}"))
        .join(format!("left join (select distinct m.new_id from merged_ids as m join stays as s on s.entity_id = m.old_id where s.exited_at is null and s.segment = {name}) as heir on heir.new_id = w.{id}"))
        .column(&name, "segment")
        .column(text_literal(&entity.name), "entity")
        .column(format!("w.{id}"), "entity_id")
        .column("cohorte_now()", "entered_at")
        .column("cast(null as timestamptz)", "exited_at")
        .column(format!("case when heir.new_id is not null then 'merge' else {} end", text_literal(entry)), "entry_reason")
        .column("cast(null as varchar)", "exit_reason")
        .column(text_literal(hash), "definition_hash");
    format!("{kept}\nunion all\n{open}\nunion all\n{new}")
}
