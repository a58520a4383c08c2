//! Syncs: who is sent, with which fields and key, through which gate.

use super::consents::unknown_purpose;
use super::models::entity_of;
use super::sync_remote::{Asked, Remote};
use super::{CustomerScope, Project, personal};
use crate::diag::{Finding, Findings, nearest};
use crate::spec::{self, FirstRun, Mode, Named, Nulls, Spec, SyncGuard, Text};
use crate::sql::{Bound, DataType, SqlText, bind, bind_query, bind_value};
use crate::text::{Files, Located, Span, TextOr};

/// Rows that are kept equal at a destination.
#[derive(Debug, Clone)]
pub struct Sync {
    /// Its name.
    pub name: String,
    /// The place of the name.
    pub span: Span,
    /// The entity whose customers are sent.
    pub entity: String,
    /// Who or what is sent.
    pub from: SyncFrom,
    /// SQL over the customer: which of them.
    pub filter: Option<String>,
    /// The connection.
    pub connection: String,
    /// The object there.
    pub object: Option<String>,
    /// The audience's name.
    pub audience: Option<String>,
    /// What the rows are there, where the destination is an HTTP API.
    pub remote: Option<Remote>,
    /// Format of files.
    pub format: String,
    /// What may be done.
    pub mode: Mode,
    /// What happens to rows that left.
    pub on_remove: Withdraw,
    /// What happens to delivered rows that lost their consent.
    pub on_withdraw: Withdraw,
    /// Alternatives of the key, in order.
    pub keys: Vec<Key>,
    /// What is sent.
    pub fields: Vec<Field>,
    /// Are nulls sent?
    pub nulls: Nulls,
    /// The consent that is needed.
    pub gate: Gate,
    /// Limits.
    pub guard: Option<SyncGuard>,
    /// What the first run does.
    pub first_run: FirstRun,
    /// Does a field, a filter or a key ask what time it is?
    pub uses_now: bool,
}

/// Who or what is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SyncFrom {
    /// Members of a segment.
    Segment(String),
    /// All known customers.
    Entity,
    /// The states of these purposes.
    Consents(Vec<String>),
    /// A query that yields the entity's id.
    Sql(String),
}

/// What is done with a row that goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Withdraw {
    /// It is deleted.
    Delete,
    /// These fields become null.
    Clear(Vec<String>),
    /// Nothing.
    Nothing,
}

/// One alternative of the key: its columns at the destination and their SQL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// (column, SQL over the customer).
    pub columns: Vec<(String, String)>,
}

/// A field that is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// Its name at the destination.
    pub name: String,
    /// SQL over the customer.
    pub sql: String,
    /// Its type.
    pub data_type: DataType,
    /// Does it hold personal data?
    pub personal: bool,
}

/// The consent that a row needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Gate {
    /// This contact point must have it.
    Consent {
        /// The purpose.
        purpose: String,
        /// The channel.
        channel: String,
        /// The contact points that are sent.
        contacts: Vec<Contact>,
        /// SQL over the customer: the scope of the consent; none where it is given once for all.
        scope: Option<String>,
    },
    /// None is needed, and why.
    None(String),
}

/// A contact point that is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contact {
    /// SQL over the customer.
    pub sql: String,
}

pub(super) fn resolve(files: &Files, spec: &Spec, project: &mut Project, findings: &mut Findings) {
    for named in spec.syncs.values() {
        if let Some(sync) = (Resolver { files, spec, named, project, findings, uses_now: false }).sync() {
            project.syncs.insert(named.name.clone(), sync);
        }
    }
}

pub(super) struct Resolver<'a> {
    pub(super) files: &'a Files,
    pub(super) spec: &'a Spec,
    pub(super) named: &'a Named<spec::Sync>,
    pub(super) project: &'a Project,
    pub(super) findings: &'a mut Findings,
    pub(super) uses_now: bool,
}

impl Resolver<'_> {
    pub(super) fn sync(&mut self) -> Option<Sync> {
        let written = &self.named.spec;
        let name = &self.named.name;
        let (entity, from) = self.from()?;
        let mut scope = customer_scope(self.project, &entity);
        if matches!(from, SyncFrom::Consents(_)) {
            for column in ["contact_point", "purpose", "channel", "scope", "status", "basis", "source", "proof"] {
                scope.columns.insert(column.into(), DataType::Text);
            }
            scope.columns.insert("since".into(), DataType::Timestamp);
        }
        let connection =
            super::sources::known_connection(&self.project.connections, &written.to.connection, self.findings);
        let filter = match &written.from.filter {
            Some(text) => Some(self.bind(text, &scope, Some(DataType::Boolean))?),
            None => None,
        };
        let fields = self.fields(&scope);
        let keys = self.keys(&scope, &fields);
        let mode = written.mode.as_ref().map_or(Mode::Upsert, |mode| mode.value);
        let on_remove = self.going("on_remove", written.on_remove.as_ref(), &fields);
        let on_withdraw = self.going("on_withdraw", written.on_withdraw.as_ref(), &fields);
        if mode == Mode::Mirror && written.on_remove.is_none() {
            self.findings.add(
                Finding::error(
                    "E130",
                    format!("the sync `{name}` mirrors, but does not say what happens to rows that leave"),
                )
                .at(self.named.span)
                .help("write `on_remove: delete`, `on_remove: {clear: [field]}` or `on_remove: nothing`"),
            );
        }
        let gate = self.gate(&from, &fields, keys.as_deref().unwrap_or_default(), &scope);
        if matches!(gate, Some(Gate::Consent { .. })) && written.on_withdraw.is_none() {
            self.findings.add(
                Finding::error(
                    "E131",
                    format!("the sync `{name}` does not say what happens when consent is withdrawn"),
                )
                .at(self.named.span)
                .help("write `on_withdraw: delete` or `on_withdraw: {clear: [field]}`"),
            );
        }
        if on_withdraw == Some(Withdraw::Nothing) && matches!(gate, Some(Gate::Consent { .. })) {
            self.findings.add(
                Finding::error("E131", "a withdrawal cannot be ignored: `on_withdraw` deletes or clears")
                    .at(written.on_withdraw.as_ref().map_or(self.named.span, |written| written.span)),
            );
        }
        let connection = connection?;
        if self.project.connections[&connection].connector == super::Connector::Postgres && written.key.len() > 1 {
            self.findings.add(
                Finding::error("E135", "a table has one key: alternatives are for destinations that take several")
                    .at(written.key[0].span),
            );
        }
        let is_files = self.project.connections[&connection].connector == super::Connector::Files;
        let first_run = match &written.first_run {
            Some(first_run) => first_run.value,
            None if is_files => FirstRun::Send,
            None => {
                self.findings.add(Finding::error("E132", format!("the sync `{name}` does not say what its first run does")).at(self.named.span).help("`first_run: send` delivers every row, `first_run: baseline` takes what is there as delivered"));
                FirstRun::Baseline
            }
        };
        let format = self.format(is_files)?;
        let is_http = matches!(self.project.connections[&connection].connector, super::Connector::Http(_));
        let asked = Asked {
            from: &from,
            mode,
            on_remove: on_remove.as_ref(),
            on_withdraw: on_withdraw.as_ref(),
            is_gated: matches!(gate, Some(Gate::Consent { .. })),
            keys: keys.as_deref().unwrap_or_default(),
            fields: &fields,
        };
        let remote = self.remote(&connection, &asked);
        if is_http && remote.is_none() {
            return None;
        }
        if fields.is_empty() && !matches!(remote, Some(Remote::Audience { .. })) {
            self.findings.add(Finding::error("E133", format!("the sync `{name}` has no `fields`")).at(self.named.span));
        }
        Some(Sync {
            name: name.clone(),
            span: self.named.span,
            entity,
            from,
            filter: filter.map(|bound| bound.sql),
            connection,
            object: written.to.object.as_ref().map(|object| object.value.clone()),
            audience: written.to.name.as_ref().map(|audience| audience.value.clone()),
            remote,
            format,
            mode,
            on_remove: on_remove?,
            on_withdraw: on_withdraw?,
            keys: keys?,
            fields,
            nulls: written.nulls.as_ref().map_or(Nulls::Omit, |nulls| nulls.value),
            gate: gate?,
            guard: written.guard.clone(),
            first_run,
            uses_now: self.uses_now,
        })
    }

    pub(super) fn format(&mut self, is_files: bool) -> Option<String> {
        match &self.named.spec.to.format {
            None => Some("ndjson".into()),
            Some(format) if !is_files => {
                self.findings.add(Finding::error("E133", "only a `files` connection takes a `format`").at(format.span));
                None
            }
            Some(format) if ["csv", "ndjson", "parquet"].contains(&format.value.as_str()) => Some(format.value.clone()),
            Some(format) => {
                self.findings.add(
                    Finding::error("E133", format!("`{}` is no format of files", format.value))
                        .at(format.span)
                        .help("the formats are `ndjson`, `csv` and `parquet`"),
                );
                None
            }
        }
    }

    pub(super) fn bind(&mut self, text: &Text, scope: &CustomerScope, wanted: Option<DataType>) -> Option<Bound> {
        let bound = bind(SqlText::new(self.files, text), scope, wanted, self.findings)?;
        self.uses_now |= bound.uses_now;
        Some(bound)
    }

    pub(super) fn from(&mut self) -> Option<(String, SyncFrom)> {
        let from = &self.named.spec.from;
        match (&from.segment, &from.entity, &from.consents, &from.sql) {
            (Some(name), None, None, None) => {
                let Some(segment) = self.project.segments.get(&name.value) else {
                    if !self.spec.segments.contains_key(&name.value) && !self.project.broken.contains(&name.value) {
                        let near = nearest(&name.value, self.spec.segments.keys().map(String::as_str));
                        let finding =
                            Finding::error("E202", format!("there is no segment `{}`", name.value)).at(name.span);
                        self.findings
                            .add(Finding { help: near.map(|near| format!("did you mean `{near}`?")), ..finding });
                    }
                    return None;
                };
                Some((segment.entity.clone(), SyncFrom::Segment(name.value.clone())))
            }
            (None, Some(name), None, None) => {
                entity_of(self.project, Some(name), name.span, self.findings).map(|entity| (entity, SyncFrom::Entity))
            }
            (None, of, Some(purposes), None) => {
                for purpose in purposes {
                    self.findings.extend(unknown_purpose(self.project, &purpose.value, purpose.span).into_iter().fold(
                        Findings::default(),
                        |mut all, finding| {
                            all.add(finding);
                            all
                        },
                    ));
                }
                let entity = self.whose(of.as_ref())?;
                Some((entity, SyncFrom::Consents(purposes.iter().map(|purpose| purpose.value.clone()).collect())))
            }
            (None, of, None, Some(sql)) => {
                let entity = self.whose(of.as_ref())?;
                match bind_query(SqlText::new(self.files, sql)) {
                    Ok(query) => Some((entity, SyncFrom::Sql(query.sql))),
                    Err(finding) => {
                        self.findings.add(finding);
                        None
                    }
                }
            }
            _ => {
                self.findings.add(
                    Finding::error("E134", "`from` is exactly one of `segment`, `entity`, `consents`, `sql`")
                        .at(self.named.span),
                );
                None
            }
        }
    }

    /// The entity whose consents or ids are meant.
    fn whose(&mut self, of: Option<&Text>) -> Option<String> {
        if of.is_none() && self.project.entities.len() > 1 {
            let message = "the project has several entities: `from` says which one is meant, `entity: …` beside it";
            self.findings.add(Finding::error("E126", message).at(self.named.span));
            return None;
        }
        entity_of(self.project, of, self.named.span, self.findings)
    }

    pub(super) fn fields(&mut self, scope: &CustomerScope) -> Vec<Field> {
        let entity = &self.project.entities[&scope.entity];
        let mut fields = Vec::new();
        for (name, value) in self.named.spec.fields.iter() {
            let Some(bound) = bind_value(self.files, value, scope, self.findings) else { continue };
            self.uses_now |= bound.uses_now;
            let personal = bound.reads.iter().any(|read| matches!(read.as_str(), "contact_point" | "proof"))
                || personal::of_customer(self.project, entity, &bound.reads);
            fields.push(Field { name: name.value.clone(), sql: bound.sql, data_type: bound.data_type, personal });
        }
        fields
    }

    /// A key names a field; where the field is not sent under that name, its SQL is given: `{email: email}`.
    pub(super) fn keys(&mut self, scope: &CustomerScope, fields: &[Field]) -> Option<Vec<Key>> {
        let written = &self.named.spec.key;
        if written.is_empty() {
            let id = format!("{}_id", scope.entity);
            self.findings.add(Finding::error("E135", format!("the sync `{}` has no `key`", self.named.name)).at(self.named.span).help(format!("name the field that identifies a row at the destination, such as `key: email`, or `key: {{{id}: {id}}}`")));
            return None;
        }
        let mut keys = Vec::new();
        for alternative in written.iter() {
            let mut columns = Vec::new();
            match &alternative.value {
                TextOr::Text(name) => match fields.iter().find(|field| field.name == *name) {
                    Some(field) => columns.push((field.name.clone(), field.sql.clone())),
                    None => {
                        let text = Located::new(name.clone(), alternative.span);
                        columns.push((name.clone(), self.bind(&text, scope, None)?.sql));
                    }
                },
                TextOr::Other(parts) => {
                    for (name, sql) in parts.iter() {
                        columns.push((name.value.clone(), self.bind(sql, scope, None)?.sql));
                    }
                }
            }
            keys.push(Key { columns });
        }
        Some(keys)
    }
}

/// Everything that a customer has once it is built.
pub(super) fn customer_scope(project: &Project, entity: &str) -> CustomerScope {
    let empty = || CustomerScope::new(entity, project.settings.timezone.name());
    let mut scope = project.customers.get(entity).cloned().unwrap_or_else(empty);
    scope.columns.insert("segments".into(), DataType::TextList);
    scope.columns.insert("emails".into(), DataType::TextList);
    scope.columns.insert("phones".into(), DataType::TextList);
    scope
}
