//! Entities: identifiers, what each source may do with them, and the golden record.

use indexmap::IndexMap;

use super::customer::Attribute;
use super::parents::known_source;
use super::{Project, Source};
use crate::diag::{Finding, Findings, nearest};
use crate::spec::{self, ColumnType, Named, Pick, Role, Spec, Text};
use crate::sql::{DataType, ident};
use crate::text::{Files, Span};

/// Names of tables and columns that an entity's models may not take.
pub(super) const RESERVED: &[&str] = &[
    "audit",
    "consent_ledger",
    "consents",
    "run_steps",
    "runs",
    "score_models",
    "score_values",
    "segment_members",
    "segment_sizes",
    "sync_journal",
    "sync_receipts",
    "sync_runs",
    "sync_state",
];

/// A customer, or whatever is known under several identifiers.
#[derive(Debug, Clone)]
pub struct Entity {
    /// Its name: the table's, too.
    pub name: String,
    /// The place of the name.
    pub span: Span,
    /// Identifier types in order of (priority, name).
    pub identifiers: Vec<Identifier>,
    /// Sources in the order as written.
    pub sources: Vec<IdentitySource>,
    /// Columns whose different values keep records apart.
    pub never_across: Vec<String>,
    /// The golden record.
    pub attributes: IndexMap<String, Attribute>,
}

/// A type of identifier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identifier {
    /// Its name.
    pub name: String,
    /// Links of a lower number are made first.
    pub priority: u32,
    /// How its values are normalised.
    pub kind: Option<ColumnType>,
    /// Most distinct values per customer.
    pub per_customer: Option<u32>,
    /// Most distinct names per value.
    pub shared_by: Option<u32>,
    /// Values that identify nobody.
    pub ignore: Vec<String>,
}

/// A source that carries identifiers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentitySource {
    /// The source.
    pub source: String,
    /// What it may do.
    pub role: Role,
    /// (identifier, SQL of its value over the source's relation), in order of the identifiers' priority.
    pub ids: Vec<(String, String)>,
    /// SQL of the name that a record goes by, to judge shared values.
    pub name_key: Option<String>,
    /// SQL per `never_across` column; `null` where the source lacks it.
    pub scopes: Vec<String>,
}

impl Entity {
    /// The name of the id column.
    #[must_use]
    pub fn id(&self) -> String {
        format!("{}_id", self.name)
    }

    /// The name of the id column in `<source>_resolved`, where a column of the source may be called as [`Self::id`] is.
    #[must_use]
    pub fn resolved_id(&self) -> String {
        format!("_{}_id", self.name)
    }

    /// The name of the column beside it in a build: the customer's place among all of them.
    #[must_use]
    pub fn resolved_place(&self) -> String {
        format!("_{}_place", self.name)
    }

    /// What a source may do in this entity's identity.
    #[must_use]
    pub fn source(&self, name: &str) -> Option<&IdentitySource> {
        self.sources.iter().find(|source| source.source == name)
    }
}

/// Names under which a run keeps what it works with.
const WORKING: &[&str] =
    &["consent_history", "definitions", "events", "ledger", "members_now", "merged_ids", "new_consent_events", "stays"];

/// A source may not be called as a table of ours: both are read by their names.
fn source_names_are_free(spec: &Spec, findings: &mut Findings) {
    for named in spec.sources.values() {
        let name = named.name.as_str();
        let of_entity = spec.entities.keys().any(|entity| name == entity) || is_of_an_entity(spec, name);
        let prefixed =
            ["before_", "pass_"].iter().any(|prefix| name.starts_with(prefix)) || name.ends_with("_resolved");
        if of_entity || prefixed || RESERVED.contains(&name) || WORKING.contains(&name) {
            findings.add(
                Finding::error("E117", format!("`{name}` is the name of a table that cohorte keeps"))
                    .at(named.span)
                    .help("choose another name for the source; its `table` or `path` may stay"),
            );
        }
    }
}

/// Is it the name of a table that goes with an entity?
fn is_of_an_entity(spec: &Spec, name: &str) -> bool {
    spec.entities.keys().any(|entity| {
        let rest = name.strip_prefix(entity.as_str());
        rest.is_some_and(|rest| TABLES.contains(&rest) || rest.starts_with("_golden_"))
    })
}

/// What follows an entity's name in the names of its tables.
const TABLES: &[&str] = &[
    "_base",
    "_contested",
    "_golden",
    "_identifiers",
    "_ids",
    "_links",
    "_merged",
    "_nodes",
    "_records",
    "_seen",
    "_wide",
    "_zipped",
];

pub(super) fn resolve(_: &Files, spec: &Spec, project: &mut Project, findings: &mut Findings) {
    source_names_are_free(spec, findings);
    for named in spec.entities.values() {
        let name = named.name.as_str();
        if RESERVED.contains(&name) || name.starts_with("pass_") || is_of_an_entity(spec, name) {
            findings.add(
                Finding::error("E117", format!("`{}` is the name of a table that cohorte keeps", named.name))
                    .at(named.span)
                    .help("choose another name for the entity"),
            );
            continue;
        }
        let entity = entity(project, named, findings);
        project.entities.insert(named.name.clone(), entity);
    }
    // Where a file cannot be read, its entities may be in it.
    let none = spec.entities.is_empty() && spec.broken.is_empty();
    if let (true, Some(warehouse)) = (none && (!spec.sources.is_empty() || !findings.has_errors()), &spec.warehouse) {
        findings.add(
            Finding::error("E118", "the project has no entity")
                .at(warehouse.name.span)
                .help("`entities: {customer: {identity: …}}` says how records become customers"),
        );
    }
}

fn entity(project: &Project, named: &Named<spec::Entity>, findings: &mut Findings) -> Entity {
    let written = &named.spec.identity;
    let mut identifiers: Vec<Identifier> = written
        .identifiers
        .iter()
        .map(|(name, identifier)| Identifier {
            name: name.value.clone(),
            priority: identifier.priority.as_ref().map_or(5, |priority| priority.value),
            kind: identifier.kind.as_ref().map(|kind| kind.value),
            per_customer: identifier.per_customer.as_ref().map(|limit| limit.value),
            shared_by: identifier.shared_by.as_ref().map(|limit| limit.value),
            ignore: identifier.ignore.iter().map(|pattern| pattern.value.clone()).collect(),
        })
        .collect();
    identifiers.sort_by(|a, b| (a.priority, &a.name).cmp(&(b.priority, &b.name)));
    let mut sources = Vec::new();
    for (name, source) in written.sources.iter() {
        let Some(resolved) = known_source(project, &name.value, name.span, findings) else { continue };
        sources.push(identity_source(resolved, source, &identifiers, &written.never_across, name.span, findings));
    }
    let all_known = sources.len() == written.sources.iter().count();
    for column in &written.never_across {
        let somewhere =
            sources.iter().any(|source| project.sources[&source.source].columns.contains_key(&column.value));
        if !somewhere && all_known {
            findings.add(
                Finding::error("E202", format!("no source of the identity has a column `{}`", column.value))
                    .at(column.span),
            );
        }
    }
    if !written.sources.iter().any(|(_, source)| source.role.value == Role::Record) {
        let message = format!("no source of `{}` has the role `record`", named.name);
        findings.add(
            Finding::error("E119", message).at(named.span).help("records make customers; without one nobody is known"),
        );
    }
    let mut entity = Entity {
        name: named.name.clone(),
        span: named.span,
        identifiers,
        sources,
        never_across: written.never_across.iter().map(|column| column.value.clone()).collect(),
        attributes: IndexMap::new(),
    };
    for (name, attribute) in named.spec.attributes.iter() {
        if let Some(resolved) = golden(project, &entity, &name.value, name.span, attribute, findings) {
            entity.attributes.insert(name.value.clone(), resolved);
        }
    }
    entity
}

fn identity_source(
    source: &Source,
    written: &spec::IdentitySource,
    identifiers: &[Identifier],
    never_across: &[Text],
    span: Span,
    findings: &mut Findings,
) -> IdentitySource {
    let mut ids = Vec::new();
    for (name, columns) in written.ids.iter() {
        let Some(identifier) = identifiers.iter().find(|identifier| identifier.name == name.value) else {
            let near = nearest(&name.value, identifiers.iter().map(|identifier| identifier.name.as_str()));
            let finding = Finding::error("E202", format!("there is no identifier `{}`", name.value)).at(name.span);
            findings.add(Finding {
                help: near.map_or(Some("every identifier is declared under `identifiers:`".into()), |near| {
                    Some(format!("did you mean `{near}`?"))
                }),
                ..finding
            });
            continue;
        };
        for column in columns.iter() {
            let Some(found) = source.columns.get(&column.value) else {
                let near = nearest(&column.value, source.columns.keys().map(String::as_str));
                let finding = Finding::error("E202", format!("the source `{}` has no `{}`", source.name, column.value))
                    .at(column.span)
                    .label("unknown column");
                findings.add(Finding { help: near.map(|near| format!("did you mean `{near}`?")), ..finding });
                continue;
            };
            let quoted = ident(&column.value);
            let sql = match (identifier.kind, found.semantic) {
                (Some(wanted), Some(has)) if wanted == has => quoted,
                (Some(ColumnType::Email), _) => format!("cohorte_email(cast({quoted} as varchar))"),
                (Some(ColumnType::Phone), _) => format!("cohorte_phone(cast({quoted} as varchar), null)"),
                // A whole number that was stored as a fraction (13085.0) is that number.
                _ if found.data_type == DataType::Number => format!("cast(try_cast({quoted} as bigint) as varchar)"),
                _ if found.data_type == DataType::Text => format!("nullif(btrim({quoted}), '')"),
                _ => format!("cast({quoted} as varchar)"),
            };
            ids.push((identifier.priority, name.value.clone(), sql));
        }
    }
    if written.ids.iter().all(|(_, columns)| columns.is_empty()) {
        findings.add(
            Finding::error("E120", format!("the source `{}` carries no identifier", source.name))
                .at(span)
                .help("`ids: {email: email}` says which columns identify a customer"),
        );
    }
    ids.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
    let names: Vec<String> = source
        .columns
        .iter()
        .filter(|(_, column)| matches!(column.semantic, Some(ColumnType::GivenName | ColumnType::FamilyName)))
        .map(|(name, _)| ident(name))
        .collect();
    let name_key = (written.role.value == Role::Record && !names.is_empty())
        .then(|| format!("nullif(cohorte_name_key(concat_ws(' ', {})), '')", names.join(", ")));
    let scopes = never_across.iter().map(|column| {
        if source.columns.contains_key(&column.value) {
            format!("cast({} as varchar)", ident(&column.value))
        } else {
            "cast(null as varchar)".into()
        }
    });
    IdentitySource {
        source: source.name.clone(),
        role: written.role.value,
        ids: ids.into_iter().map(|(_, name, sql)| (name, sql)).collect(),
        name_key,
        scopes: scopes.collect(),
    }
}

fn golden(
    project: &Project,
    entity: &Entity,
    name: &str,
    span: Span,
    written: &spec::Attribute,
    findings: &mut Findings,
) -> Option<Attribute> {
    if BUILT_IN.contains(&name) || name == entity.id() {
        findings.add(
            Finding::error("E117", format!("`{name}` is a column that every customer has"))
                .at(span)
                .help("choose another name"),
        );
        return None;
    }
    let mut from = Vec::new();
    let mut data_type = DataType::Unknown;
    let mut semantic = None;
    let mut personal = false;
    for path in written.from.iter() {
        let Some((source, column)) = path.value.split_once('.') else {
            findings.add(
                Finding::error("E116", format!("`{}` names no column: write `source.column`", path.value))
                    .at(path.span),
            );
            return None;
        };
        let resolved = known_source(project, source, path.span, findings)?;
        let Some(found) = resolved.columns.get(column) else {
            let near = nearest(column, resolved.columns.keys().map(String::as_str));
            let finding = Finding::error("E202", format!("the source `{source}` has no `{column}`"))
                .at(path.span)
                .label("unknown column");
            findings.add(Finding { help: near.map(|near| format!("did you mean `{source}.{near}`?")), ..finding });
            return None;
        };
        if entity.source(source).is_none() {
            findings.add(
                Finding::error(
                    "E121",
                    format!("the source `{source}` takes no part in the identity of `{}`", entity.name),
                )
                .at(path.span)
                .help("name it under `identity.sources`, so that its rows have a customer"),
            );
            return None;
        }
        if data_type != DataType::Unknown && found.data_type != DataType::Unknown && data_type != found.data_type {
            findings.add(
                Finding::error("E204", format!("`{}` is {}, the others are {data_type}", path.value, found.data_type))
                    .at(path.span),
            );
            return None;
        }
        data_type = found.data_type;
        semantic = semantic.or(found.semantic);
        personal |= resolved.is_personal(column);
        from.push((source.to_owned(), column.to_owned()));
    }
    Some(Attribute {
        name: name.to_owned(),
        span,
        from,
        pick: written.pick.as_ref().map_or(Pick::MostRecent, |pick| pick.value),
        data_type,
        semantic,
        personal,
    })
}

/// Columns of every customer, whatever the models say.
pub(super) const BUILT_IN: &[&str] =
    &["emails", "first_seen_at", "is_known", "last_seen_at", "n_records", "phones", "segments", "updated_at"];
