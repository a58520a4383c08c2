//! What a sync's rows are at an HTTP API, and whether its connector can do what the sync asks.

use super::connections::Connector;
use super::syncs::{Field, Key, Resolver, SyncFrom, Withdraw};
use crate::connector::{self, Columns, Object};
use crate::diag::{Finding, nearest};
use crate::spec::Mode;
use crate::text::Span;

/// What a sync's rows are at an HTTP API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Remote {
    /// Rows of the object of that name.
    Object(String),
    /// Members of an audience.
    Audience {
        /// The kind of audience: a list, a tag.
        kind: String,
        /// Its name at the destination.
        name: String,
    },
    /// Consents.
    Consent,
}

/// The column of a consent's rows that says which way it goes.
pub const STATUS: &str = "status";

/// What a sync asks of its destination.
pub(super) struct Asked<'a> {
    pub(super) from: &'a SyncFrom,
    pub(super) mode: Mode,
    pub(super) on_remove: Option<&'a Withdraw>,
    pub(super) on_withdraw: Option<&'a Withdraw>,
    pub(super) is_gated: bool,
    pub(super) keys: &'a [Key],
    pub(super) fields: &'a [Field],
}

impl Resolver<'_> {
    /// What the rows are there; none where the destination is no HTTP API. What it cannot do is told.
    pub(super) fn remote(&mut self, connection: &str, asked: &Asked<'_>) -> Option<Remote> {
        let Connector::Http(http) = self.project.connections[connection].connector.clone() else { return None };
        let at = self.named.spec.to.connection.span;
        if matches!(asked.from, SyncFrom::Consents(_)) {
            let Some(consent) = &http.consent else {
                self.cannot(at, format!("`{}` takes no consents", http.name), "send them elsewhere".to_owned());
                return None;
            };
            if !asked.fields.iter().any(|field| field.name == STATUS) {
                let help = "write `status: status` among its `fields`".to_owned();
                self.cannot(
                    self.named.span,
                    format!("the sync `{}` does not send which way a consent went", self.named.name),
                    help,
                );
            }
            self.columns(&consent.columns, asked, &[STATUS]);
            return Some(Remote::Consent);
        }
        if let Some(name) = &self.named.spec.to.name {
            let kind = self.kind(&http, at)?;
            let audience = http.audiences.iter().find(|audience| audience.name == kind)?;
            if [asked.on_remove, asked.on_withdraw]
                .into_iter()
                .flatten()
                .any(|going| matches!(going, Withdraw::Clear(_)))
            {
                let message = format!("members of a `{kind}` have no fields to clear");
                self.cannot(self.named.span, message, "write `delete`: they leave it".to_owned());
            }
            self.columns(&audience.columns, asked, &[]);
            return Some(Remote::Audience { kind, name: name.value.clone() });
        }
        let object = self.object(&http, at)?.clone();
        let found = http.objects.iter().find(|known| known.name == object)?;
        self.operations(found, asked);
        self.columns(&found.columns, asked, &[]);
        Some(Remote::Object(object))
    }

    fn cannot(&mut self, at: Span, message: String, help: String) {
        self.findings.add(Finding::error("E154", message).at(at).help(help));
    }

    /// The kind of audience that is meant: the one that is written, or the only one there is.
    fn kind(&mut self, http: &connector::Connector, at: Span) -> Option<String> {
        let kinds: Vec<&str> = http.audiences.iter().map(|audience| audience.name.as_str()).collect();
        let written = self.named.spec.to.object.as_ref();
        match (written, kinds.as_slice()) {
            (Some(written), _) if kinds.contains(&written.value.as_str()) => Some(written.value.clone()),
            (Some(written), [only]) if written.value == "audience" => Some((*only).to_owned()),
            (None, [only]) => Some((*only).to_owned()),
            (_, []) => {
                self.cannot(
                    at,
                    format!("`{}` has no audiences", http.name),
                    "leave out `name`, or send to another connection".to_owned(),
                );
                None
            }
            (written, _) => {
                let near = written.and_then(|written| nearest(&written.value, kinds.iter().copied()));
                let help = near.map_or_else(
                    || format!("write `object: {}`", kinds.join("` or `object: ")),
                    |near| format!("did you mean `{near}`?"),
                );
                let span = written.map_or(at, |written| written.span);
                self.cannot(span, format!("`{}` has several kinds of audience, or not this one", http.name), help);
                None
            }
        }
    }

    fn object<'h>(&mut self, http: &'h connector::Connector, at: Span) -> Option<&'h String> {
        let names: Vec<&str> = http.objects.iter().map(|object| object.name.as_str()).collect();
        let written = self.named.spec.to.object.as_ref();
        let found = match (written, http.objects.as_slice()) {
            (Some(written), objects) => objects.iter().find(|object| object.name == written.value),
            (None, [only]) => Some(only),
            (None, _) => None,
        };
        if found.is_none() {
            let near = written.and_then(|written| nearest(&written.value, names.iter().copied()));
            let help = match (near, names.is_empty()) {
                (Some(near), _) => format!("did you mean `{near}`?"),
                (None, true) => "it has audiences alone: name one with `name:`".to_owned(),
                (None, false) => format!("it has `{}`", names.join("`, `")),
            };
            let message = written.map_or_else(
                || format!("the sync `{}` does not say which object of `{}` its rows are", self.named.name, http.name),
                |written| format!("`{}` has no object `{}`", http.name, written.value),
            );
            self.cannot(written.map_or(at, |written| written.span), message, help);
        }
        found.map(|object| &object.name)
    }

    fn operations(&mut self, object: &Object, asked: &Asked<'_>) {
        let has_lookup = object.lookup.is_some();
        let can = |mode: Mode| match mode {
            Mode::Upsert | Mode::Mirror => {
                object.upsert.is_some() || has_lookup && object.create.is_some() && object.update.is_some()
            }
            Mode::Insert => object.create.is_some() || has_lookup && object.upsert.is_some(),
            Mode::Update => object.update.is_some() || has_lookup && object.upsert.is_some(),
        };
        let span = self.named.spec.mode.as_ref().map_or(self.named.span, |mode| mode.span);
        if !can(asked.mode) {
            let modes = [("upsert", Mode::Upsert), ("insert", Mode::Insert), ("update", Mode::Update)];
            let modes: Vec<String> =
                modes.into_iter().filter(|(_, mode)| can(*mode)).map(|(name, _)| format!("`mode: {name}`")).collect();
            let message = format!("the object `{}` cannot be kept so", object.name);
            self.cannot(span, message, format!("it takes {}", modes.join(", ")));
        }
        let removes = asked.mode == Mode::Mirror && asked.on_remove == Some(&Withdraw::Delete);
        let withdraws = asked.is_gated && asked.on_withdraw == Some(&Withdraw::Delete);
        if object.delete.is_none() && (removes || withdraws) {
            let message = format!("the destination cannot delete rows of `{}`", object.name);
            self.cannot(
                self.named.span,
                message,
                "write `{clear: [field]}` for what must go, or send to an object that can be deleted".to_owned(),
            );
        }
    }

    /// Keys and fields that the destination knows.
    fn columns(&mut self, columns: &Columns, asked: &Asked<'_>, also: &[&str]) {
        if let Some(known) = &columns.keys {
            for (index, (column, _)) in asked
                .keys
                .iter()
                .enumerate()
                .flat_map(|(index, key)| key.columns.iter().map(move |column| (index, column)))
            {
                if known.iter().any(|key| key.name == *column) {
                    continue;
                }
                let names = || known.iter().map(|key| key.name.as_str());
                let help = nearest(column, names()).map_or_else(
                    || {
                        format!(
                            "rows are identified by `{}`: `key: [{{email: email}}]` gives one its SQL",
                            names().collect::<Vec<_>>().join("`, `")
                        )
                    },
                    |near| format!("did you mean `{near}`?"),
                );
                let span = self.named.spec.key.get(index).map_or(self.named.span, |key| key.span);
                self.cannot(span, format!("`{column}` is no key of the destination"), help);
            }
            if asked.keys.iter().any(|key| key.columns.len() > 1) {
                let help = "give alternatives, of which the first that is there counts: `key: [{id: hubspot_id}, {email: email}]`".to_owned();
                self.cannot(self.named.span, "a key of this destination is one column".to_owned(), help);
            }
        }
        let spans: Vec<(String, Span)> =
            self.named.spec.fields.iter().map(|(name, _)| (name.value.clone(), name.span)).collect();
        for (name, span) in spans {
            let is_key = asked.keys.iter().flat_map(|key| &key.columns).any(|(column, _)| *column == name);
            let is_known = columns.fields.iter().any(|field| field.name == name) || also.contains(&name.as_str());
            if columns.custom || is_key || is_known {
                continue;
            }
            let names = || columns.fields.iter().map(|field| field.name.as_str());
            let help = nearest(&name, names()).map_or_else(
                || format!("it has `{}`", names().collect::<Vec<_>>().join("`, `")),
                |near| format!("did you mean `{near}`?"),
            );
            self.cannot(span, format!("the destination has no field `{name}`"), help);
        }
        let missing: Vec<String> = columns
            .fields
            .iter()
            .filter(|field| field.required && !asked.fields.iter().any(|sent| sent.name == field.name))
            .map(|field| field.name.clone())
            .collect();
        for name in missing {
            self.cannot(
                self.named.span,
                format!("the sync `{}` does not send `{name}`, which the destination needs", self.named.name),
                format!("write it among `fields`: `{name}: SQL`"),
            );
        }
    }
}
