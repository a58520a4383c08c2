//! A connector's file as written → the connector, with everything that is wrong in it.

use std::time::Duration;

use super::expression::Expression;
use super::model::{Connector, Find, Quota, Secret, Setting};
use super::template::Template;
use crate::diag::{Finding, Findings};
use crate::spec::connector as spec;
use crate::spec::{Duration as Length, Text};
use crate::text::{Located, Section, Span};

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
                known
                    .extend(["timestamp", "id", "payload", "signature", "signature_base64"].map(|name| (name, open())));
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
        written.value.exact().unwrap_or_else(|| {
            let help = "write seconds, minutes, hours or days: `10s`, `5min`, `1h`, `1d`";
            self.wrong(written.span, "this is too long here", help);
            Duration::from_secs(1)
        })
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
        let timeout = file.timeout.as_ref().map_or(Duration::from_mins(1), |timeout| self.duration(timeout));
        let rules = self.rules(&file.errors);
        let account = file.account.as_ref().map(|account| {
            let request = self.request(&account.request, At::Connection);
            Some(Find { request: request?, id: self.expression(&account.id, At::Answer)?, rules: Vec::new() })
        });
        let objects: Vec<_> = file.objects.iter().map(|(name, object)| self.object(name, object)).collect();
        let audiences: Vec<_> =
            file.audiences.iter().map(|(name, audience)| self.audience(name, audience, file)).collect();
        let consent = file.consent.as_ref().map(|consent| self.consent(consent, file));
        let erase = file.erase.as_ref().map(|erase| self.erase(erase, file));
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
}

/// What is not written stays so; what was written and is wrong is an error.
#[expect(clippy::option_option, reason = "written or not, and right or not")]
pub(super) fn transpose<T>(written: Option<Option<T>>) -> Option<Option<T>> {
    match written {
        None => Some(None),
        Some(compiled) => compiled.map(Some),
    }
}
