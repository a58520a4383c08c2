//! Which columns hold personal data: those of a personal type, what they are read from, and what is computed of either. A
//! truth value tells too little of a person to be one.

use std::collections::BTreeSet;

use indexmap::IndexMap;

use super::facts::{Fact, Relation};
use super::sources::SourceColumn;
use super::traits::names_in;
use super::{Entity, Project};
use crate::spec;
use crate::sql::DataType;
use crate::text::{Files, TextOr};

/// The personal columns of a source.
pub(super) fn of_source(
    files: &Files,
    written: &spec::Source,
    columns: &IndexMap<String, SourceColumn>,
) -> BTreeSet<String> {
    // Declared columns, whether their type is personal, and the stored columns that they are read from.
    let declared: Vec<(&String, bool, Vec<String>)> = (written.columns.iter())
        .map(|(name, column)| match column {
            TextOr::Text(from) => (&name.value, false, vec![from.clone()]),
            TextOr::Other(column) => {
                let is_personal = column.kind.as_ref().is_some_and(|kind| kind.value.is_personal());
                let reads = match &column.sql {
                    Some(sql) => names_in(files, sql),
                    None => vec![column.from.as_ref().map_or(&name.value, |from| &from.value).clone()],
                };
                (&name.value, is_personal, reads)
            }
        })
        .collect();
    let typed = declared.iter().filter(|(_, is_personal, _)| *is_personal);
    let origins: BTreeSet<&String> = typed.flat_map(|(_, _, reads)| reads).collect();
    let is_personal = |name: &String| match declared.iter().find(|(known, ..)| *known == name) {
        Some((_, is_personal, reads)) => *is_personal || reads.iter().any(|read| origins.contains(read)),
        None => origins.contains(name),
    };
    let columns = columns.iter().filter(|(_, column)| column.data_type != DataType::Boolean);
    columns.map(|(name, _)| name).filter(|name| is_personal(name)).cloned().collect()
}

/// Is what an expression over a fact reads personal?
pub(super) fn of_fact<'a>(project: &Project, fact: &Fact, reads: impl IntoIterator<Item = &'a String>) -> bool {
    let of = |source: &str, column: &str| project.sources.get(source).is_some_and(|source| source.is_personal(column));
    reads.into_iter().any(|read| match (fact.columns.get(read), read.split_once('.'), &fact.relation) {
        (Some(column), ..) => column.personal,
        (None, Some((parent, column)), _) => of(parent, column),
        // A part of a column, such as `raw(email)`.
        (None, None, Relation::Source(source)) => of(source, read),
        _ => false,
    })
}

/// Is what an expression over the customer reads personal?
pub(super) fn of_customer<'a>(project: &Project, entity: &Entity, reads: impl IntoIterator<Item = &'a String>) -> bool {
    reads.into_iter().any(|read| {
        matches!(read.as_str(), "emails" | "phones")
            || entity.attributes.get(read).is_some_and(|attribute| attribute.personal)
            || project.traits.get(read).is_some_and(|one| one.personal)
    })
}
