//! Syncs of consents: the states themselves are sent, but not to the account that told them.

use super::CONSENTS;
use crate::project::{Entity, Project, Sync};
use crate::sql::{ident, text_literal};

/// The consent came from the account that it would be sent to.
pub const ECHO: &str = "came from there";

/// What a sync of consents may send of each.
const COLUMNS: [&str; 9] =
    ["contact_point", "purpose", "channel", "scope", "status", "basis", "source", "proof", "since"];

/// The customers' states, each with `_is_echo` (it came from the account) and `_told_at`, when that account last spoke of it.
pub(super) fn states(project: &Project, sync: &Sync, entity: &Entity, purposes: &[String]) -> String {
    let id = ident(&entity.id());
    let names: Vec<String> = purposes.iter().map(|purpose| text_literal(purpose)).collect();
    // The customer's own columns of such a name give way to those of the consent.
    let known = crate::compile::customer::columns(project, entity);
    let hidden: Vec<String> =
        COLUMNS.iter().filter(|name| known.iter().any(|known| known == *name)).map(|name| ident(name)).collect();
    let customer = if hidden.is_empty() { "c.*".to_owned() } else { format!("c.* except ({})", hidden.join(", ")) };
    let own: Vec<String> = COLUMNS.iter().map(|name| format!("s.{}", ident(name))).collect();
    let tellers = tellers(project, sync);
    let (echo, told_at, told) = if tellers.is_empty() {
        ("false".to_owned(), "cast(null as timestamp)", String::new())
    } else {
        let tellers = tellers.join(", ");
        (
            format!("coalesce(s.source in ({tellers}) and s.status <> 'expired', false)"),
            "t._at",
            // What follows an echo is due, even where it is what was delivered before it.
            format!(
                "\n  left join (\n    select contact_point, purpose, channel, scope, max(at) as _at from consent_history\n    \
                 where source in ({tellers}) group by contact_point, purpose, channel, scope\n  ) as t\n  \
                 on t.contact_point = s.contact_point and t.purpose = s.purpose and t.channel = s.channel and t.scope is not distinct from s.scope"
            ),
        )
    };
    format!(
        "(\n  select {customer}, {}, true as _is_member, {echo} as _is_echo, {told_at} as _told_at\n  from {CONSENTS} as s\n  \
         join {} as c on c.{id} = s.customer_id{told}\n  where s.entity = {} and s.purpose in ({})\n) as p",
        own.join(", "),
        ident(&entity.name),
        text_literal(&entity.name),
        names.join(", ")
    )
}

/// The consents that the sync's own account tells, as literals: what came from there is not sent back.
fn tellers(project: &Project, sync: &Sync) -> Vec<String> {
    let Some(there) = project.connections.get(&sync.connection) else { return Vec::new() };
    let same_account = |name: &String| {
        project.connections.get(name).is_some_and(|from| {
            from.name == there.name || (from.connector == there.connector && from.account == there.account)
        })
    };
    let from_there = |source: &str| {
        project.sources.get(source).and_then(|source| source.connection.as_ref()).is_some_and(same_account)
    };
    let consents = project.consents.values().filter(|consent| from_there(&consent.source));
    consents.map(|consent| text_literal(&consent.name)).collect()
}
