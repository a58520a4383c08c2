//! Rows that are shown: enough to see what is sent, not who it is.

use std::collections::BTreeSet;

use datafusion::arrow::array::{Array, RecordBatch};
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};

use super::destination::cleared;
use super::remembered::texts;
use crate::compile::syncs;
use crate::connector::mask;
use crate::project::{Entity, Gate, Project, Sync, Withdraw};
use crate::sql::ident;

/// A row that is due, with personal values masked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// `add`, `update`, …
    pub action: String,
    /// What is sent of it, in the order of the columns; null is none.
    pub values: Vec<(String, Option<String>)>,
}

/// The rows of a table of due rows.
pub(super) fn samples(project: &Project, sync: &Sync, due: &RecordBatch) -> Result<Vec<Sample>, ArrowError> {
    let names = syncs::columns(sync);
    let actions = texts(due, "action")?;
    let options = FormatOptions::new();
    let mut samples: Vec<Sample> = (0..due.num_rows())
        .map(|row| Sample { action: actions.value(row).to_owned(), values: Vec::with_capacity(names.len()) })
        .collect();
    for name in names {
        let Some(column) = due.column_by_name(&format!("field_{name}")) else { continue };
        let is_personal = is_personal(project, sync, &name);
        let formatter = ArrayFormatter::try_new(column.as_ref(), &options)?;
        for (row, sample) in samples.iter_mut().enumerate() {
            if !is_sent(sync, &sample.action, &name, column.is_null(row)) {
                continue;
            }
            let shown = || formatter.value(row).try_to_string();
            let shown = if column.is_null(row) { None } else { Some(shown()?) };
            sample.values.push((name.clone(), if is_personal { shown.as_deref().map(mask) } else { shown }));
        }
    }
    Ok(samples)
}

/// The columns that hold personal data.
pub(super) fn personal(project: &Project, sync: &Sync) -> BTreeSet<String> {
    syncs::columns(sync).into_iter().filter(|name| is_personal(project, sync, name)).collect()
}

/// Is this column sent with a row of this action? A row that goes has its key, and the fields that are cleared.
fn is_sent(sync: &Sync, action: &str, name: &str, is_null: bool) -> bool {
    if syncs::key_columns(sync).iter().any(|column| column == name) {
        // The columns of a key that was not chosen are null.
        return !is_null;
    }
    let going = match action {
        "withdraw" => &sync.on_withdraw,
        "clear" => &sync.on_remove,
        "remove" => &Withdraw::Delete,
        _ => return !(is_null && syncs::omits_nulls(sync)),
    };
    cleared(going).iter().any(|field| field == name)
}

/// Fields say it themselves; a column of the key that is no field is personal unless it is known not to be.
fn is_personal(project: &Project, sync: &Sync, name: &str) -> bool {
    let field = sync.fields.iter().find(|field| field.name == name);
    if field.is_some_and(|field| field.personal) {
        return true;
    }
    let mut sql =
        sync.keys.iter().flat_map(|key| &key.columns).filter(|(column, _)| column == name).map(|(_, sql)| sql);
    let entity = &project.entities[&sync.entity];
    if field.is_some() {
        sql.any(|sql| is_contact(sync, sql))
    } else {
        !sql.all(|sql| is_harmless(project, sync, entity, sql))
    }
}

fn is_contact(sync: &Sync, sql: &str) -> bool {
    matches!(&sync.gate, Gate::Consent { contacts, .. } if contacts.iter().any(|contact| contact.sql == sql))
}

fn is_harmless(project: &Project, sync: &Sync, entity: &Entity, sql: &str) -> bool {
    let is = |name: &str| sql == ident(name);
    let attribute = entity.attributes.values().find(|attribute| is(&attribute.name));
    let one = project.traits.values().find(|one| one.entity == entity.name && is(&one.name));
    is(&entity.id())
        || !is_contact(sync, sql)
            && (attribute.is_some_and(|attribute| !attribute.personal) || one.is_some_and(|one| !one.personal))
}
