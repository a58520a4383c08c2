//! A connector, compiled: every expression is parsed, every name is known.

use std::time::Duration;

use super::credentials::{Auth, Signature};
use super::expression::Expression;
use super::filters::Normaliser;
use super::template::{Template, Tree};
use crate::spec::connector::{Act, ConnectorTest, Method, OnMiss, Statuses};
use crate::text::{Located, Span};

/// A destination that is an HTTP API.
#[derive(Debug)]
pub struct Connector {
    /// Its name.
    pub name: String,
    /// What it is.
    pub description: String,
    /// The vendor's documentation.
    pub docs: Option<String>,
    /// When its limits were last compared with it.
    pub checked: Option<String>,
    /// What a connection says.
    pub settings: Vec<Setting>,
    /// Secrets of a connection; those that may be left out are marked.
    pub secrets: Vec<Secret>,
    pub(super) url: Option<Template>,
    pub(super) auth: Option<Auth>,
    pub(super) sign: Option<Signature>,
    pub(super) headers: Vec<(String, Template)>,
    /// How much an account may be asked.
    pub quota: Quota,
    /// How long an answer may take.
    pub timeout: Duration,
    pub(super) rules: Vec<Rule>,
    pub(super) account: Option<Find>,
    /// Kinds of rows.
    pub objects: Vec<Object>,
    /// Kinds of what rows can be members of.
    pub audiences: Vec<Audience>,
    /// How a consent is granted and taken back.
    pub consent: Option<Consent>,
    /// How a person is erased.
    pub erase: Option<Erase>,
    pub(super) tests: Vec<(Located<String>, ConnectorTest)>,
}

impl Connector {
    /// What has a quota of its own, beside the account's.
    pub fn quotas(&self) -> impl Iterator<Item = (&str, &Quota)> {
        let operations = self.operations().map(|operation| (&operation.name, &operation.quota));
        let lookups = self.objects.iter().filter_map(|object| object.lookup.as_ref());
        operations
            .chain(lookups.map(|lookup| (&lookup.name, &lookup.quota)))
            .filter_map(|(name, quota)| Some((name.as_str(), quota.as_ref()?)))
    }

    /// Everything that it does with rows.
    pub fn operations(&self) -> impl Iterator<Item = &Operation> {
        let objects = self
            .objects
            .iter()
            .flat_map(|object| [&object.upsert, &object.create, &object.update, &object.delete].into_iter().flatten());
        let audiences = self.audiences.iter().flat_map(|audience| [&audience.add, &audience.remove]);
        let consent = self.consent.iter().flat_map(|consent| [&consent.grant, &consent.revoke]);
        objects.chain(audiences).chain(consent).chain(self.erase.iter().map(|erase| &erase.operation))
    }

    /// Does it know how to ask whose account it is?
    #[must_use]
    pub fn tells_account(&self) -> bool {
        self.account.is_some()
    }
}

/// Something that a connection says.
#[derive(Debug)]
pub struct Setting {
    /// Its name.
    pub name: String,
    /// What it is.
    pub description: String,
    /// What it is where nothing is said.
    pub default: Option<String>,
    /// Its form: a regular expression over the whole value.
    pub pattern: Option<String>,
    /// May it be left out?
    pub optional: bool,
}

/// A secret of a connection.
#[derive(Debug)]
pub struct Secret {
    /// Its name.
    pub name: String,
    /// What it is.
    pub description: String,
    /// May it be left out?
    pub optional: bool,
}

/// How much may be asked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Quota {
    /// Most requests in any span of time.
    pub windows: Vec<(u32, Duration)>,
    /// Most requests at once.
    pub concurrency: Option<u32>,
    /// Headers that say how long to wait (in small letters), and whether they give an instant.
    pub retry_after: Vec<(String, bool)>,
}

/// A request before it is built.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) method: Method,
    pub(super) path: Template,
    pub(super) query: Vec<(String, Tree)>,
    pub(super) headers: Vec<(String, Template)>,
    pub(super) body: Option<Body>,
}

impl Request {
    /// Do the rows of a batch go with it?
    pub(super) fn names_rows(&self) -> bool {
        let in_body = match &self.body {
            Some(Body::Json(tree)) => tree.names_rows(),
            Some(Body::Form(fields)) => fields.iter().any(|(_, tree)| tree.names_rows()),
            Some(Body::Csv(_)) => true,
            None => false,
        };
        in_body || self.path.reads("rows") || self.query.iter().any(|(_, tree)| tree.names_rows())
    }

    /// Are they looked into, instead of sent as they were written?
    pub(super) fn computes_rows(&self) -> bool {
        let in_body = match &self.body {
            Some(Body::Json(tree)) => tree.computes_rows(),
            Some(Body::Form(fields)) => fields.iter().any(|(_, tree)| tree.computes_rows()),
            Some(Body::Csv(_)) | None => false,
        };
        in_body || self.path.reads("rows") || self.query.iter().any(|(_, tree)| tree.computes_rows())
    }
}

#[derive(Debug)]
pub(super) enum Body {
    Json(Tree),
    Form(Vec<(String, Tree)>),
    Csv(u8),
}

/// What an answer means.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) statuses: Vec<Statuses>,
    pub(super) when: Option<Expression>,
    pub(super) act: Act,
    pub(super) code: Option<Template>,
    pub(super) message: Option<Template>,
}

/// What is done with rows.
#[derive(Debug)]
pub struct Operation {
    /// `contact.upsert`: quotas of its own and messages go by it.
    pub name: String,
    pub(super) request: Request,
    pub(super) before: Option<Request>,
    pub(super) row: Option<Tree>,
    pub(super) limits: Limits,
    /// Is it harmless to send the same request twice, by itself or by its key?
    pub idempotent: bool,
    pub(super) idempotency_key: Option<String>,
    pub(super) needs_id: bool,
    /// A quota of its own.
    pub quota: Option<Quota>,
    pub(super) rules: Vec<Rule>,
    pub(super) result: ResultKind,
}

impl Operation {
    /// Most rows of a request.
    #[must_use]
    pub fn max_rows(&self) -> usize {
        self.limits.rows
    }
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) rows: usize,
    pub(super) bytes: Option<usize>,
    pub(super) row_bytes: Option<usize>,
}

#[derive(Debug)]
pub(super) enum ResultKind {
    AllOrNothing,
    /// The answer may be anything: it was received.
    Received,
    Told {
        by: By,
        tellings: Vec<Telling>,
    },
    CountOnly(Expression),
    Job(Box<Job>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum By {
    Index,
    Key,
    TraceId,
}

#[derive(Debug)]
pub(super) struct Telling {
    pub(super) items: Expression,
    pub(super) row: Option<Expression>,
    pub(super) accepted: Option<Expression>,
    pub(super) code: Option<Template>,
    pub(super) message: Option<Template>,
    pub(super) id: Option<Expression>,
    pub(super) rules: Vec<(Expression, Act)>,
}

#[derive(Debug)]
pub(super) struct Job {
    pub(super) id: Expression,
    pub(super) poll: Request,
    pub(super) every: Duration,
    pub(super) within: Duration,
    pub(super) done: Expression,
    pub(super) failed: Option<Expression>,
    pub(super) rows: Option<Request>,
    pub(super) next: Option<Template>,
    pub(super) result: ResultKind,
}

/// Finds ids.
#[derive(Debug)]
pub struct Lookup {
    /// `contact.lookup`: quotas of its own and messages go by it.
    pub name: String,
    /// A quota of its own.
    pub quota: Option<Quota>,
    pub(super) request: Request,
    pub(super) row: Option<Tree>,
    pub(super) limits: Limits,
    pub(super) rules: Vec<Rule>,
    pub(super) items: Expression,
    pub(super) key: Option<Expression>,
    pub(super) id: Expression,
    pub(super) on_miss: OnMiss,
}

/// A column of a key.
#[derive(Debug)]
pub struct KeyColumn {
    /// Its name.
    pub name: String,
    pub(super) normalise: Vec<Normaliser>,
}

/// A field.
#[derive(Debug)]
pub struct FieldColumn {
    /// Its name.
    pub name: String,
    pub(super) normalise: Vec<Normaliser>,
    /// Must every row have it?
    pub required: bool,
    pub(super) max_length: Option<usize>,
}

/// The columns that rows may have.
#[derive(Debug)]
pub struct Columns {
    /// Of keys; none: any.
    pub keys: Option<Vec<KeyColumn>>,
    /// The fields that are named.
    pub fields: Vec<FieldColumn>,
    /// May a row have others?
    pub custom: bool,
}

/// A kind of row.
#[derive(Debug)]
pub struct Object {
    /// Its name.
    pub name: String,
    /// The place of the name.
    pub span: Span,
    /// What it is.
    pub description: String,
    /// What its rows may have.
    pub columns: Columns,
    /// Finds ids.
    pub lookup: Option<Lookup>,
    /// Makes or changes.
    pub upsert: Option<Operation>,
    /// Makes.
    pub create: Option<Operation>,
    /// Changes.
    pub update: Option<Operation>,
    /// Deletes.
    pub delete: Option<Operation>,
}

/// What rows can be members of.
#[derive(Debug)]
pub struct Audience {
    /// Its name.
    pub name: String,
    /// What it is.
    pub description: String,
    /// The object whose rows are its members: its index in `objects`.
    pub of: Option<usize>,
    /// What members may have.
    pub columns: Columns,
    pub(super) find: Option<Find>,
    pub(super) create: Option<Find>,
    /// Adds.
    pub add: Operation,
    /// Removes.
    pub remove: Operation,
}

/// A request whose answer tells an id.
#[derive(Debug)]
pub(super) struct Find {
    pub(super) request: Request,
    pub(super) id: Expression,
    pub(super) rules: Vec<Rule>,
}

/// How a consent is granted and taken back.
#[derive(Debug)]
pub struct Consent {
    /// The object whose lookup finds ids: its index in `objects`.
    pub of: Option<usize>,
    /// What its rows may have.
    pub columns: Columns,
    /// Grants.
    pub grant: Operation,
    /// Takes back.
    pub revoke: Operation,
}

/// How a person is erased.
#[derive(Debug)]
pub struct Erase {
    /// What becomes of the person.
    pub description: String,
    /// The object whose lookup finds ids: its index in `objects`.
    pub of: Option<usize>,
    /// What identifies the person.
    pub columns: Columns,
    /// Erases.
    pub operation: Operation,
}
