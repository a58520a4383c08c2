//! Stays in segments: who enters, who leaves, who stays.

use super::definition::Definition;
use super::renames::Renames;
use crate::project::{Entity, Project, Segment};
use crate::sql::{Select, text_literal};

/// A hash of what defines a segment's members: when it changes, entries and exits are the definition's doing.
#[must_use]
pub fn definition_hash(project: &Project, segment: &Segment) -> String {
    Definition::of(project, segment)
}

/// `merged_ids`, where no identity was resolved.
pub const NO_MERGES: &str = "select entity_id as old_id, entity_id as new_id from stays where false";

/// Who was in before this run: `segment`, `entity_id`. Reads `stays`.
#[must_use]
pub fn members_before(entity: &Entity) -> String {
    format!("select segment, entity_id from stays where exited_at is null and entity = {}", text_literal(&entity.name))
}

/// The stays after this run, in the columns of `segment_members`: closed stays as they were, open ones kept or closed, and
/// new ones. Reads `stays`, `entered` (`segment, entity_id`: who is in and was not), `definitions` (`segment, hash, entry_reason,
/// exit_reason, is_kept`: one row per segment of the entity; `is_kept` where a guard tripped) and `merged_ids` (`old_id`, `new_id`).
#[must_use]
pub fn stays(entity: &Entity) -> String {
    let name = text_literal(&entity.name);
    let columns = "segment, entity, entity_id, entered_at, exited_at, entry_reason, exit_reason, definition_hash";
    let closed = format!("select {columns}\nfrom stays\nwhere exited_at is not null or entity <> {name}");
    let is_in = format!("cohorte_is_member_{}(o.segment, o.entity_id)", entity.name);
    // A segment that the project no longer has is left by all, because of its definition.
    let open = Select::from(format!("(select * from stays where exited_at is null and entity = {name}) as o"))
        .join("left join definitions as d on d.segment = o.segment")
        .join("left join merged_ids as m on m.old_id = o.entity_id")
        .column("o.segment", "segment")
        .column("o.entity", "entity")
        .column("o.entity_id", "entity_id")
        .column("o.entered_at", "entered_at")
        .column(format!("case when not {is_in} and not coalesce(d.is_kept, false) then cohorte_now() end"), "exited_at")
        .column("o.entry_reason", "entry_reason")
        .column(
            format!("case when {is_in} or coalesce(d.is_kept, false) then cast(null as varchar) when m.old_id is not null then 'merge' else coalesce(d.exit_reason, 'definition') end"),
            "exit_reason",
        )
        .column("o.definition_hash", "definition_hash");
    let new = Select::from("entered as n")
        .join("join definitions as d on d.segment = n.segment")
        .join("left join (select distinct s.segment, m.new_id from merged_ids as m join stays as s on s.entity_id = m.old_id where s.exited_at is null) as heir on heir.segment = n.segment and heir.new_id = n.entity_id")
        .column("n.segment", "segment")
        .column(&name, "entity")
        .column("n.entity_id", "entity_id")
        .column("cohorte_now()", "entered_at")
        .column("arrow_cast(null, 'Timestamp(µs, \"UTC\")')", "exited_at")
        .column("case when heir.new_id is not null then 'merge' else d.entry_reason end", "entry_reason")
        .column("cast(null as varchar)", "exit_reason")
        .column("d.hash", "definition_hash")
        .filter("not d.is_kept");
    format!("{closed}\nunion all\n{open}\nunion all\n{new}")
}

/// Stays under the names that segments have now (`was: old_name`). Reads `before_segment_members`.
#[must_use]
pub fn renamed(renames: &Renames) -> String {
    format!(
        "select {} as segment, entity, entity_id, entered_at, exited_at, entry_reason, exit_reason, definition_hash from before_segment_members",
        renames.sql("segment", Some("entity"))
    )
}
