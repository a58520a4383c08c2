//! Requests, operations, answers and credentials as written → compiled.

use std::time::Duration;

use super::compile::{At, Compiler, transpose};
use super::credentials::{Auth, OAuth2, Session, Signature};
use super::model::{Body, By, Job, Limits, Operation, Quota, Request, ResultKind, Rule, Telling};
use crate::spec::connector::{self as spec, Act, ClientAuth};
use crate::text::{OneOrMany, Span};

/// How many rows go into a request; one where nothing is said.
pub(super) fn limits(written: Option<&spec::BatchLimits>) -> Limits {
    Limits {
        rows: written.map_or(1, |batch| batch.rows.value.max(1) as usize),
        bytes: written.and_then(|batch| batch.bytes.as_ref()).map(|bytes| bytes.value.0 as usize),
        row_bytes: written.and_then(|batch| batch.row_bytes.as_ref()).map(|bytes| bytes.value.0 as usize),
    }
}

impl Compiler {
    pub(super) fn request(&mut self, written: &spec::Request, at: At) -> Option<Request> {
        let path = self.template(&written.path, at);
        let query: Vec<_> = written
            .query
            .iter()
            .map(|(name, tree)| self.tree(tree, at).map(|tree| (name.value.clone(), tree)))
            .collect();
        let headers = self.templates(&written.headers, at);
        let bodies = [written.json.is_some(), written.form.is_some(), written.csv.is_some()];
        if bodies.into_iter().filter(|is_there| *is_there).count() > 1 {
            self.wrong(written.method.span, "a request has one body", "write one of `json`, `form` and `csv`");
        }
        let body = if let Some(tree) = &written.json {
            self.tree(tree, at).map(|tree| Some(Body::Json(tree)))
        } else if let Some(form) = &written.form {
            let fields: Vec<_> =
                form.iter().map(|(name, tree)| self.tree(tree, at).map(|tree| (name.value.clone(), tree))).collect();
            fields.into_iter().collect::<Option<_>>().map(|fields| Some(Body::Form(fields)))
        } else if let Some(csv) = &written.csv {
            let &[delimiter] = csv.value.as_bytes() else {
                self.wrong(csv.span, "columns of CSV are separated by one character", "write `csv: \",\"`");
                return None;
            };
            Some(Some(Body::Csv(delimiter)))
        } else {
            Some(None)
        };
        let query = query.into_iter().collect::<Option<_>>();
        Some(Request { method: written.method.value, path: path?, query: query?, headers: headers?, body: body? })
    }

    pub(super) fn operation(&mut self, name: &str, written: &spec::Operation, at: Span) -> Option<Operation> {
        let limits = limits(written.batch.as_ref());
        let place = if limits.rows == 1 { At::Row } else { At::Rows };
        let request = self.request(&written.request, place);
        let before = written.before.as_ref().map(|before| self.request(before, place));
        let row = written.row.as_ref().map(|row| self.tree(row, At::Row));
        let quota = written.quota.as_ref().map(|quota| self.quota(quota));
        let rules = self.rules(&written.errors);
        let result =
            written.result.as_ref().map_or(Some(ResultKind::AllOrNothing), |result| self.result(&result.value));
        let (request, row) = (request?, transpose(row)?);
        let span = if at == Span::default() { written.request.method.span } else { at };
        let names_rows = request.names_rows();
        if names_rows != row.is_some() {
            let (message, help) = if names_rows {
                (format!("`{name}` sends `rows`, but does not say what a row becomes"), "write `row:`")
            } else {
                (
                    format!("`{name}` says what a row becomes, but its request does not send `rows`"),
                    "write `\"{{ rows }}\"` where they belong",
                )
            };
            self.wrong(written.request.method.span, message, help);
        }
        if limits.rows > 1 && !names_rows {
            self.wrong(
                span,
                format!("`{name}` takes several rows, but its request sends none"),
                "write `\"{{ rows }}\"` where they belong, or leave out `batch`",
            );
        }
        Some(Operation {
            name: name.to_owned(),
            request,
            before: transpose(before)?,
            row,
            limits,
            idempotent: written.idempotent || written.idempotency_key.is_some(),
            idempotency_key: written.idempotency_key.as_ref().map(|header| header.value.clone()),
            needs_id: written.needs_id,
            quota,
            rules: rules?,
            result: result?,
        })
    }

    pub(super) fn quota(&mut self, written: &spec::Quota) -> Quota {
        let mut windows = Vec::new();
        for window in &written.windows {
            if window.requests.value == 0 {
                self.wrong(
                    window.requests.span,
                    "a window of no requests lets nothing through",
                    "write how many requests it allows",
                );
            }
            windows.push((window.requests.value, self.duration(&window.per)));
        }
        Quota {
            windows,
            concurrency: written.concurrency.as_ref().map(|most| most.value.max(1)),
            retry_after: written.retry_after.iter().map(|one| (one.header.value.to_lowercase(), one.epoch)).collect(),
        }
    }

    pub(super) fn rules(&mut self, written: &[spec::ErrorRule]) -> Option<Vec<Rule>> {
        let rules: Vec<Option<Rule>> = written
            .iter()
            .map(|rule| {
                let when = rule.when.as_ref().map(|when| self.expression(when, At::Answer));
                let code = rule.code.as_ref().map(|code| self.template(code, At::Answer));
                let message = rule.message.as_ref().map(|message| self.template(message, At::Answer));
                if rule.status.is_empty() && rule.when.is_none() {
                    self.wrong(
                        rule.act.span,
                        "this rule fits every answer",
                        "say which with `status`, with `when`, or with both",
                    );
                }
                Some(Rule {
                    statuses: rule.status.iter().map(|status| status.value).collect(),
                    when: transpose(when)?,
                    act: rule.act.value,
                    code: transpose(code)?,
                    message: transpose(message)?,
                })
            })
            .collect();
        rules.into_iter().collect()
    }

    fn result(&mut self, written: &spec::ResultKind) -> Option<ResultKind> {
        let mut told = |by: By, tellings: &OneOrMany<spec::Telling>| {
            let tellings: Vec<_> = tellings.iter().map(|telling| self.telling(by, telling)).collect();
            tellings.into_iter().collect::<Option<_>>().map(|tellings| ResultKind::Told { by, tellings })
        };
        match written {
            spec::ResultKind::AllOrNothing => Some(ResultKind::AllOrNothing),
            spec::ResultKind::None => Some(ResultKind::Received),
            spec::ResultKind::ByIndex(tellings) => told(By::Index, tellings),
            spec::ResultKind::ByKey(tellings) => told(By::Key, tellings),
            spec::ResultKind::ByTraceId(tellings) => told(By::TraceId, tellings),
            spec::ResultKind::CountOnly(count) => {
                self.expression(&count.rejected, At::Answer).map(ResultKind::CountOnly)
            }
            spec::ResultKind::AsyncJob(job) => {
                let id = self.expression(&job.id, At::Answer);
                let poll = self.request(&job.poll.request, At::Job);
                let every = job.poll.every.as_ref().map_or(Duration::from_secs(5), |every| self.duration(every));
                let within = job.poll.within.as_ref().map_or(Duration::from_hours(1), |within| self.duration(within));
                let done = self.expression(&job.poll.done, At::Answer);
                let failed = job.poll.failed.as_ref().map(|failed| self.expression(failed, At::Answer));
                let rows = job.rows.as_ref().map(|rows| self.request(rows, At::Job));
                let next = job.next.as_ref().map(|next| self.template(next, At::Answer));
                let result = match &job.result {
                    Some(result) if matches!(result.value, spec::ResultKind::AsyncJob(_)) => {
                        self.wrong(
                            result.span,
                            "a job's answer cannot be a job again",
                            "say how the answer tells what became of the rows",
                        );
                        None
                    }
                    Some(result) => self.result(&result.value),
                    None => Some(ResultKind::AllOrNothing),
                };
                Some(ResultKind::Job(Box::new(Job {
                    id: id?,
                    poll: poll?,
                    every,
                    within,
                    done: done?,
                    failed: transpose(failed)?,
                    rows: transpose(rows)?,
                    next: transpose(next)?,
                    result: result?,
                })))
            }
        }
    }

    fn telling(&mut self, by: By, written: &spec::Telling) -> Option<Telling> {
        let items = self.expression(&written.items, At::Answer);
        let row = written.row.as_ref().map(|row| self.expression(row, At::Item));
        let accepted = written.accepted.as_ref().map(|accepted| self.expression(accepted, At::Item));
        let code = written.code.as_ref().map(|code| self.template(code, At::Item));
        let message = written.message.as_ref().map(|message| self.template(message, At::Item));
        let id = written.id.as_ref().map(|id| self.expression(id, At::Item));
        if by != By::Index && written.row.is_none() {
            self.wrong(
                written.items.span,
                "nothing says which row an item speaks of",
                "write `row:`, the key or the trace id in an `item`",
            );
        }
        let mut rules = Vec::new();
        for rule in &written.errors {
            if !matches!(rule.act.value, Act::Retry | Act::Reject | Act::Ignore) {
                self.wrong(rule.act.span, "one row cannot cause that", "write `retry`, `reject` or `ignore`");
            }
            if let Some(when) = self.expression(&rule.when, At::Item) {
                rules.push((when, rule.act.value));
            }
        }
        Some(Telling {
            items: items?,
            row: transpose(row)?,
            accepted: transpose(accepted)?,
            code: transpose(code)?,
            message: transpose(message)?,
            id: transpose(id)?,
            rules,
        })
    }

    pub(super) fn auth(&mut self, written: &spec::Auth) -> Option<Auth> {
        Some(match written {
            spec::Auth::Headers(headers) => Auth::Headers(self.templates(headers, At::Secrets)?),
            spec::Auth::Basic(basic) => {
                let user = self.template(&basic.user, At::Secrets);
                Auth::Basic { user: user?, password: self.template(&basic.password, At::Secrets)? }
            }
            spec::Auth::Bearer(token) => {
                let mut token = token.clone();
                token.value = format!("Bearer {}", token.value);
                Auth::Headers(vec![("authorization".to_owned(), self.template(&token, At::Secrets)?)])
            }
            spec::Auth::Oauth2(oauth2) => {
                let token_url = self.template(&oauth2.token_url, At::Connection);
                let client_id = self.template(&oauth2.client_id, At::Secrets);
                let client_secret = self.template(&oauth2.client_secret, At::Secrets);
                let refresh_token = oauth2.refresh_token.as_ref().map(|token| self.template(token, At::Secrets));
                let scopes: Vec<_> = oauth2.scopes.iter().map(|scope| self.template(scope, At::Connection)).collect();
                let parameters = self.templates(&oauth2.parameters, At::Secrets);
                let lifetime =
                    oauth2.lifetime.as_ref().map_or(Duration::from_mins(30), |lifetime| self.duration(lifetime));
                Auth::OAuth2(Box::new(OAuth2 {
                    token_url: token_url?,
                    client_id: client_id?,
                    client_secret: client_secret?,
                    refresh_token: transpose(refresh_token)?,
                    scopes: scopes.into_iter().collect::<Option<_>>()?,
                    client_auth: oauth2.client_auth.as_ref().map_or(ClientAuth::Body, |place| place.value),
                    parameters: parameters?,
                    lifetime,
                }))
            }
            spec::Auth::Session(session) => {
                let login = self.request(&session.login, At::Secrets);
                let token = self.expression(&session.session, At::Answer);
                let headers = self.templates(&session.headers, At::Session);
                let lifetime = session.lifetime.as_ref().map(|lifetime| self.duration(lifetime));
                Auth::Session(Box::new(Session { login: login?, session: token?, headers: headers?, lifetime }))
            }
        })
    }

    pub(super) fn signature(&mut self, written: &spec::Signature) -> Option<Signature> {
        let secret = self.template(&written.secret, At::Secrets);
        let over = written.over.as_ref().map(|over| self.template(over, At::Signature));
        let value = written.value.as_ref().map(|value| self.template(value, At::Signature));
        let headers = self.templates(&written.headers, At::Signature);
        Some(Signature {
            header: written.header.value.clone(),
            secret: secret?,
            over: transpose(over)?,
            value: transpose(value)?,
            headers: headers?,
        })
    }
}
