//! A connector's file as written → the connector, with everything that is wrong in it.

use std::time::Duration;

use super::filters;
use super::model::{
    Audience, Columns, Connector, Consent, Erase, FieldColumn, KeyColumn, Lookup, Object, Operation, Quota, Secret,
    Setting,
};
use super::operations::limits;
use super::template::{Expression, Template};
use crate::diag::{Finding, Findings, nearest};
use crate::spec::connector::{self as spec, OnMiss};
use crate::spec::{Duration as Length, Text, Unit};
use crate::text::{Located, OneOrMany, Section, Span};

/// Compiles a file. Nothing where any of it is wrong: all that is wrong is told.
pub fn compile(file: &spec::ConnectorFile, findings: &mut Findings) -> Option<Connector> {
    let names = |section: Vec<&Located<String>>| section.into_iter().map(|name| name.value.clone()).collect();
    let mut compiler = Compiler {
        settings: names(file.settings.iter().map(|(name, _)| name).collect()),
        secrets: names(file.secrets.iter().map(|(name, _)| name).collect()),
        findings: Findings::default(),
    };
    let connector = compiler.connector(file);
    let failed = compiler.findings.has_errors();
    for finding in compiler.findings.sorted() {
        findings.add(finding);
    }
    connector.filter(|_| !failed)
}

/// What a row has.
const ROW: &[&str] = &["key", "fields", "id", "key_name", "key_value", "trace_id"];
const AUDIENCE: &[&str] = &["id", "name"];
const BATCH: &[&str] = &["id", "size"];

/// Where an expression stands.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum At {
    /// Before there are rows: the URL, headers of every request.
    Connection,
    /// Where secrets are known.
    Secrets,
    /// In the headers of a session.
    Session,
    /// In what is signed.
    Signature,
    /// In what a row becomes, and in the request for a single row.
    Row,
    /// In the request for several rows.
    Rows,
    /// In a request about an audience.
    Audience,
    /// In a request about a job.
    Job,
    /// In what is read from an answer.
    Answer,
    /// In what is read from one of its items.
    Item,
}

pub(super) struct Compiler {
    settings: Vec<String>,
    secrets: Vec<String>,
    pub(super) findings: Findings,
}

impl Compiler {
    fn known(&self, at: At) -> Vec<(&'static str, Vec<String>)> {
        let fixed = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let mut known = Vec::new();
        // A name without names below it is open: one that must not be used is left out instead.
        for (name, below) in [("settings", &self.settings), ("secrets", &self.secrets)] {
            let is_secret = name == "secrets";
            if !below.is_empty() && (!is_secret || matches!(at, At::Secrets | At::Session | At::Signature)) {
                known.push((name, below.clone()));
            }
        }
        let open = Vec::new;
        match at {
            At::Connection | At::Secrets => {}
            At::Session => known.push(("session", open())),
            At::Signature => {
                known.extend(["timestamp", "id", "payload", "signature", "signature_base64"].map(|name| (name, open())))
            }
            At::Row => known.extend([
                ("row", fixed(ROW)),
                ("audience", fixed(AUDIENCE)),
                ("batch", fixed(BATCH)),
                ("rows", open()),
                ("key_name", open()),
            ]),
            At::Rows => known.extend([
                ("rows", open()),
                ("audience", fixed(AUDIENCE)),
                ("batch", fixed(BATCH)),
                ("key_name", open()),
            ]),
            At::Audience => known.push(("audience", fixed(AUDIENCE))),
            At::Job => known.extend([("job", open()), ("audience", fixed(AUDIENCE)), ("batch", fixed(BATCH))]),
            At::Answer | At::Item => {
                known.extend([
                    ("status", open()),
                    ("headers", open()),
                    ("body", open()),
                    ("job", open()),
                    ("audience", fixed(AUDIENCE)),
                    ("key_name", open()),
                ]);
                if at == At::Item {
                    known.push(("item", open()));
                }
            }
        }
        known
    }

    pub(super) fn wrong(&mut self, span: Span, message: impl Into<String>, help: impl Into<String>) {
        self.findings.add(Finding::error("E152", message).at(span).help(help));
    }

    pub(super) fn template(&mut self, text: &Text, at: At) -> Option<Template> {
        let known = self.known(at);
        Template::compile(text, &known, &mut self.findings)
    }

    pub(super) fn templates(&mut self, section: &Section<Text>, at: At) -> Option<Vec<(String, Template)>> {
        let compiled: Vec<_> =
            section.iter().map(|(name, text)| self.template(text, at).map(|text| (name.value.clone(), text))).collect();
        compiled.into_iter().collect()
    }

    pub(super) fn tree(&mut self, tree: &spec::Tree, at: At) -> Option<super::template::Tree> {
        let known = self.known(at);
        super::template::Tree::compile(tree, &known, &mut self.findings)
    }

    /// An expression alone, with or without its braces.
    pub(super) fn expression(&mut self, text: &Text, at: At) -> Option<Expression> {
        let known = self.known(at);
        let bare = text.value.trim();
        let bare = bare.strip_prefix("{{").and_then(|rest| rest.strip_suffix("}}")).unwrap_or(bare);
        Expression::compile(bare, text.span, &known, &mut self.findings)
    }

    /// A fixed length of time.
    pub(super) fn duration(&mut self, written: &Located<Length>) -> Duration {
        let seconds = match written.value.unit {
            Unit::Second => 1,
            Unit::Minute => 60,
            Unit::Hour => 3_600,
            Unit::Day => 86_400,
            Unit::Week | Unit::Month | Unit::Year => {
                self.wrong(
                    written.span,
                    "this is too long here",
                    "write seconds, minutes, hours or days: `10s`, `5min`, `1h`, `1d`",
                );
                1
            }
        };
        Duration::from_secs(u64::from(written.value.count) * seconds)
    }

    fn connector(&mut self, file: &spec::ConnectorFile) -> Option<Connector> {
        let settings = file.settings.iter().map(|(name, setting)| self.setting(name, setting)).collect();
        let secrets = file.secrets.iter().map(|(name, secret)| Secret {
            name: name.value.clone(),
            description: secret.description.clone().unwrap_or_default(),
            optional: secret.optional,
        });
        let secrets = secrets.collect();
        let url = file.url.as_ref().map(|url| self.template(url, At::Connection));
        let auth = file.auth.as_ref().map(|auth| self.auth(&auth.value));
        let sign = file.sign.as_ref().map(|sign| self.signature(sign));
        let headers = self.templates(&file.headers, At::Connection);
        let quota = file.quota.as_ref().map_or_else(Quota::default, |quota| self.quota(quota));
        let timeout = file.timeout.as_ref().map_or(Duration::from_secs(60), |timeout| self.duration(timeout));
        let rules = self.rules(&file.errors);
        let account = file.account.as_ref().map(|account| {
            let request = self.request(&account.request, At::Connection);
            Some((request?, self.expression(&account.id, At::Answer)?))
        });
        let objects: Vec<_> = file.objects.iter().map(|(name, object)| self.object(name, object)).collect();
        let audiences: Vec<_> =
            file.audiences.iter().map(|(name, audience)| self.audience(name, audience, file)).collect();
        let consent = file.consent.as_ref().map(|consent| self.consent(consent));
        let erase = file.erase.as_ref().map(|erase| self.erase(erase));
        if file.objects.0.is_empty() && file.audiences.0.is_empty() && file.consent.is_none() {
            self.wrong(
                file.connector.span,
                "this connector can do nothing",
                "give it `objects`, `audiences` or `consent`",
            );
        }
        Some(Connector {
            name: file.connector.value.clone(),
            description: file.description.clone().unwrap_or_default(),
            docs: file.docs.clone(),
            checked: file.checked.as_ref().map(|checked| checked.value.clone()),
            settings,
            secrets,
            url: transpose(url)?,
            auth: transpose(auth)?,
            sign: transpose(sign)?,
            headers: headers?,
            quota,
            timeout,
            rules: rules?,
            account: transpose(account)?,
            objects: objects.into_iter().collect::<Option<_>>()?,
            audiences: audiences.into_iter().collect::<Option<_>>()?,
            consent: transpose(consent)?,
            erase: transpose(erase)?,
            tests: file.tests.iter().map(|(name, test)| (name.clone(), test.clone())).collect(),
        })
    }

    fn setting(&mut self, name: &Located<String>, setting: &spec::Setting) -> Setting {
        if let Some(pattern) = &setting.pattern
            && let Err(error) = regex::Regex::new(&pattern.value)
        {
            self.wrong(
                pattern.span,
                format!("this is no regular expression: {error}"),
                "write one as in `^[a-z0-9]+$`",
            );
        }
        Setting {
            name: name.value.clone(),
            description: setting.description.clone().unwrap_or_default(),
            default: setting.default.as_ref().map(|default| default.value.clone()),
            pattern: setting.pattern.as_ref().map(|pattern| pattern.value.clone()),
            optional: setting.optional,
        }
    }

    fn columns(
        &mut self,
        keys: Option<&Section<spec::KeyColumn>>,
        fields: Option<&Section<spec::FieldColumn>>,
        custom: Option<bool>,
    ) -> Columns {
        let keys = keys.map(|keys| {
            let key = |(name, key): (&Located<String>, &spec::KeyColumn)| KeyColumn {
                name: name.value.clone(),
                normalise: self.normalise(&key.normalise),
            };
            keys.iter().map(key).collect::<Vec<_>>()
        });
        let named: Vec<FieldColumn> = fields.map_or_else(Vec::new, |fields| {
            let field = |(name, field): (&Located<String>, &spec::FieldColumn)| FieldColumn {
                name: name.value.clone(),
                normalise: self.normalise(&field.normalise),
                required: field.required,
                max_length: field.max_length.map(|length| length as usize),
            };
            fields.iter().map(field).collect()
        });
        Columns { keys, custom: custom.unwrap_or(fields.is_none()), fields: named }
    }

    fn normalise(&mut self, written: &OneOrMany<Text>) -> Vec<filters::Normaliser> {
        let mut found = Vec::new();
        for name in written.iter() {
            match filters::normaliser(&name.value) {
                Some(normaliser) => found.push(normaliser),
                None => {
                    let known = || filters::NORMALISERS.iter().map(|(name, _)| *name);
                    let help = nearest(&name.value, known()).map_or_else(
                        || format!("the normalisers are {}", known().collect::<Vec<_>>().join(", ")),
                        |near| format!("did you mean `{near}`?"),
                    );
                    self.wrong(name.span, format!("there is no normaliser `{}`", name.value), help);
                }
            }
        }
        found
    }

    fn object(&mut self, name: &Located<String>, written: &spec::Object) -> Option<Object> {
        let columns = self.columns(written.keys.as_ref(), written.fields.as_ref(), written.custom);
        let lookup = written.lookup.as_ref().map(|lookup| self.lookup(lookup));
        let mut operation = |what: &str, written: Option<&spec::Operation>| -> Option<Option<Operation>> {
            let compiled = written.map(|written| self.operation(&format!("{}.{what}", name.value), written, name.span));
            transpose(compiled)
        };
        let (upsert, create, update, delete) = (
            operation("upsert", written.upsert.as_ref()),
            operation("create", written.create.as_ref()),
            operation("update", written.update.as_ref()),
            operation("delete", written.delete.as_ref()),
        );
        let object = Object {
            name: name.value.clone(),
            span: name.span,
            description: written.description.clone().unwrap_or_default(),
            columns,
            lookup: transpose(lookup)?,
            upsert: upsert?,
            create: create?,
            update: update?,
            delete: delete?,
        };
        let operations = [&object.upsert, &object.create, &object.update, &object.delete];
        if object.lookup.is_none()
            && let Some(needy) = operations.into_iter().flatten().find(|operation| operation.needs_id)
        {
            let message = format!("`{}` needs the destination's id, but the object has no `lookup`", needy.name);
            self.wrong(name.span, message, "say how an id is found: `lookup: {request: …, items: …, id: …}`");
        }
        if object.upsert.is_none() && object.create.is_none() && object.update.is_none() {
            let message = format!("no rows can be sent to the object `{}`", name.value);
            self.wrong(name.span, message, "give it `upsert`, or `create` and `update`");
        }
        Some(object)
    }

    fn audience(
        &mut self,
        name: &Located<String>,
        written: &spec::Audience,
        file: &spec::ConnectorFile,
    ) -> Option<Audience> {
        let place =
            written.of.as_ref().map(|of| (of, file.objects.iter().position(|(name, _)| name.value == of.value)));
        let of = match place {
            None => None,
            Some((_, Some(place))) => Some(place),
            Some((of, None)) => {
                let help = nearest(&of.value, file.objects.iter().map(|(name, _)| name.value.as_str()))
                    .map_or("name one of `objects`".to_owned(), |near| format!("did you mean `{near}`?"));
                self.wrong(of.span, format!("there is no object `{}`", of.value), help);
                None
            }
        };
        let object = of.and_then(|place| file.objects.iter().nth(place)).map(|(_, object)| object);
        let keys = written.keys.as_ref().or_else(|| object.and_then(|object| object.keys.as_ref()));
        let fields = written.fields.as_ref().or_else(|| object.and_then(|object| object.fields.as_ref()));
        let columns = self.columns(keys, fields, object.and_then(|object| object.custom));
        let mut find = |written: Option<&spec::Find>| {
            transpose(written.map(|find| {
                let request = self.request(&find.request, At::Audience);
                Some((request?, self.expression(&find.id, At::Item)?))
            }))
        };
        let (find, create) = (find(written.find.as_ref()), find(written.create.as_ref()));
        let add = self.operation(&format!("{}.add", name.value), &written.add, name.span);
        let remove = self.operation(&format!("{}.remove", name.value), &written.remove, name.span);
        let (add, remove) = (add?, remove?);
        if (add.needs_id || remove.needs_id) && object.is_none_or(|object| object.lookup.is_none()) {
            let message = format!("the audience `{}` needs the ids of members, but nothing finds them", name.value);
            self.wrong(name.span, message, "name the object with `of`, and give that a `lookup`");
        }
        Some(Audience {
            name: name.value.clone(),
            description: written.description.clone().unwrap_or_default(),
            of,
            columns,
            find: find?,
            create: create?,
            add,
            remove,
        })
    }

    fn consent(&mut self, written: &spec::Consent) -> Option<Consent> {
        let columns = self.columns(written.keys.as_ref(), written.fields.as_ref(), None);
        let grant = self.operation("consent.grant", &written.grant, Span::default());
        let revoke = self.operation("consent.revoke", &written.revoke, Span::default());
        Some(Consent { columns, grant: grant?, revoke: revoke? })
    }

    fn erase(&mut self, written: &spec::Erase) -> Option<Erase> {
        let columns = self.columns(written.keys.as_ref(), None, None);
        let operation = self.operation("erase", &written.operation, Span::default())?;
        Some(Erase { description: written.description.clone().unwrap_or_default(), columns, operation })
    }

    fn lookup(&mut self, written: &spec::Lookup) -> Option<Lookup> {
        let limits = limits(written.batch.as_ref());
        let request = self.request(&written.request, if limits.rows == 1 { At::Row } else { At::Rows });
        let row = written.row.as_ref().map(|row| self.tree(row, At::Row));
        let rules = self.rules(&written.errors);
        let items = self.expression(&written.items, At::Answer);
        let key = written.key.as_ref().map(|key| self.expression(key, At::Item));
        let id = self.expression(&written.id, At::Item);
        if limits.rows > 1 && written.key.is_none() {
            self.wrong(
                written.items.span,
                "a lookup of several rows must say whose id it found",
                "write `key:`, the value of the key of an `item`",
            );
        }
        Some(Lookup {
            request: request?,
            row: transpose(row)?,
            limits,
            rules: rules?,
            items: items?,
            key: transpose(key)?,
            id: id?,
            on_miss: written.on_miss.as_ref().map_or(OnMiss::Create, |on_miss| on_miss.value),
        })
    }
}

/// What is not written stays so; what was written and is wrong is an error.
#[expect(clippy::option_option, reason = "written or not, and right or not")]
pub(super) fn transpose<T>(written: Option<Option<T>>) -> Option<Option<T>> {
    match written {
        None => Some(None),
        Some(compiled) => compiled.map(Some),
    }
}
