//! A small project without findings, and what is said of it when one of its files is replaced or others are added.

use std::collections::BTreeMap;

use crate::diag::render::{Look, findings_text};
use crate::diag::{Finding, Findings};
use crate::project::{Project, RawColumn, Schemas, location, resolve};
use crate::spec::{Variables, read};
use crate::sql::DataType;
use crate::text::Files;

pub(super) const WAREHOUSE: &str = r#"
name: maison
warehouse: {root: ./warehouse}
timezone: Europe/Paris
vars: {brand: Maison}
targets:
  prod: {deliver: true}
connections:
  drop: {connector: files, path: ./outbox}
  dwh: {connector: postgres, url: "${env.DWH_URL}"}
"#;

pub(super) const MODELS: &str = r#"
sources:
  crm:
    table: raw/crm
    key: contact_id
    updated_at: modified_at
    columns:
      email: {type: email}
      first_name: {type: given_name}
  orders: {table: raw/orders, key: order_id, time: ordered_at}
  products: {table: raw/products, key: sku}
  order_lines:
    table: raw/order_lines
    key: [order_id, line_no]
    belongs_to: {orders: {order_id: order_id}, products: {sku: sku}}
  web_events:
    table: raw/web_events
    key: event_id
    time: occurred_at
    event: {column: name, names: [page_viewed, cart_updated]}
  preference_centre: {table: raw/preference_centre, key: proof_id}
events:
  purchase: [{source: orders, where: "status = 'paid'"}]
entities:
  customer:
    identity:
      identifiers: {email: {type: email}, anonymous_id: {}}
      sources:
        crm: {role: record, ids: {email: email}}
        orders: {role: link, ids: {email: email}}
        web_events: {role: link, ids: {anonymous_id: anonymous_id, email: email}}
    attributes:
      email: {from: [crm.email]}
      first_name: {from: [crm.first_name]}
      country: {from: [crm.country]}
      born_on: {from: [crm.born_on]}
traits:
  orders_90d: {count: purchase, within: 90d}
  revenue: {sum: purchase.amount}
  last_order_at: {max: purchase.time}
  shoes: {sum: order_lines.amount, where: "orders.status = 'paid' and products.category = 'Shoes'"}
  basket: {sql: "revenue / orders_90d"}
segments:
  vip: {when: {all: ["revenue > 1000", {did: page_viewed, where: "path like '/shoes%'", count: {min: 3}, within: 30d}]}}
scores:
  engagement: {points: [{did: page_viewed, points: 1, half_life: 30d}]}
  rfm: {rfm: {event: purchase, amount: amount}}
purposes:
  newsletter: {channels: [email]}
consents:
  centre:
    source: preference_centre
    contact: email
    purpose: purpose
    channel: channel
    status: {column: state, map: {in: granted, out: withdrawn}}
    at: captured_at
syncs:
  vips:
    from: {segment: vip, where: "country = 'FR'"}
    to: {connection: dwh, object: vips}
    mode: mirror
    on_remove: delete
    on_withdraw: delete
    key: email
    fields: {email: email, first_name: first_name, ltv: "round(revenue, 2)", vip: true}
    consent: {purpose: newsletter}
    first_run: send
"#;

pub(super) fn schemas() -> Schemas {
    use DataType::{Boolean, Date, Integer, Json, Number, Text, Timestamp};
    let tables: [(&str, &[(&str, DataType)]); 6] = [
        (
            "crm",
            &[
                ("contact_id", Integer),
                ("email", Text),
                ("first_name", Text),
                ("country", Text),
                ("born_on", Date),
                ("optin", Boolean),
                ("props", Json),
                ("modified_at", Timestamp),
            ],
        ),
        (
            "orders",
            &[("order_id", Integer), ("email", Text), ("status", Text), ("amount", Number), ("ordered_at", Timestamp)],
        ),
        ("products", &[("sku", Text), ("category", Text)]),
        ("order_lines", &[("order_id", Integer), ("line_no", Integer), ("sku", Text), ("amount", Number)]),
        (
            "web_events",
            &[
                ("event_id", Integer),
                ("anonymous_id", Text),
                ("email", Text),
                ("name", Text),
                ("path", Text),
                ("occurred_at", Timestamp),
            ],
        ),
        (
            "preference_centre",
            &[
                ("proof_id", Text),
                ("email", Text),
                ("purpose", Text),
                ("channel", Text),
                ("state", Text),
                ("captured_at", Timestamp),
            ],
        ),
    ];
    let column = |(name, data_type): &(&str, DataType)| RawColumn {
        name: (*name).to_owned(),
        data_type: *data_type,
        naive: false,
        cast: None,
    };
    tables.iter().map(|(name, columns)| ((*name).to_owned(), columns.iter().map(column).collect())).collect()
}

/// What was found, in files that were written for a test.
pub(super) struct Checked {
    pub(super) files: Files,
    pub(super) findings: Vec<Finding>,
    pub(super) project: Option<Project>,
}

/// Reads and resolves files; `warehouse.yaml` is the first of them.
pub(super) fn run(texts: &[(&str, &str)], target: Option<&str>) -> Checked {
    run_with(texts, target, &[])
}

/// The same with variables that are set by hand.
pub(super) fn run_with(texts: &[(&str, &str)], target: Option<&str>, vars: &[(&str, &str)]) -> Checked {
    let mut files = Files::default();
    let ids: Vec<_> = texts.iter().map(|(path, text)| files.add(*path, *text)).collect();
    let mut findings = Findings::default();
    let vars = vars.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
    let variables = Variables { vars, env: Some(BTreeMap::new()) };
    let spec = read(&files, ids[0], &ids[1..], target, variables, &mut findings);
    // Sources that the base does not have are given what its orders have.
    let mut schemas = schemas();
    let orders = schemas["orders"].clone();
    for named in spec.sources.values() {
        if location(named, &mut findings).is_none() {
            schemas.remove(&named.name);
        } else if !schemas.contains_key(&named.name) {
            schemas.insert(named.name.clone(), orders.clone());
        }
    }
    let project = resolve(&files, &spec, &schemas, &mut findings);
    Checked { files, findings: findings.sorted(), project }
}

/// The base with other files beside it. A file with the path of one of the base's replaces it.
pub(super) fn check(texts: &[(&str, &str)]) -> Checked {
    let mut all = vec![("warehouse.yaml", WAREHOUSE), ("models/base.yaml", MODELS)];
    for &(path, text) in texts {
        match all.iter_mut().find(|(known, _)| *known == path) {
            Some(present) => present.1 = text,
            None => all.push((path, text)),
        }
    }
    run(&all, None)
}

/// The base with one more file of models.
pub(super) fn added(text: &str) -> Checked {
    check(&[("models/more.yaml", text)])
}

/// The base's models with one text replaced by another; it must be there.
pub(super) fn changed(from: &str, to: &str) -> Checked {
    assert!(MODELS.contains(from), "the base has no {from:?}");
    check(&[("models/base.yaml", &MODELS.replacen(from, to, 1))])
}

/// The same with several texts replaced.
pub(super) fn changed_all(pairs: &[(&str, &str)]) -> Checked {
    let models = pairs.iter().fold(MODELS.to_owned(), |models, (from, to)| {
        assert!(models.contains(from), "the base has no {from:?}");
        models.replacen(from, to, 1)
    });
    check(&[("models/base.yaml", &models)])
}

impl Checked {
    /// The text under a finding's span.
    pub(super) fn underlined(&self, finding: &Finding) -> &str {
        let Some(span) = finding.span else { return "" };
        self.files.text(span)
    }

    /// `CODE underlined text | message | help`, one line per finding.
    pub(super) fn lines(&self) -> Vec<String> {
        let line = |finding: &Finding| {
            let help = finding.help.as_deref().unwrap_or_default();
            format!("{} {} | {} | {help}", finding.code, self.underlined(finding), finding.message)
        };
        self.findings.iter().map(line).collect()
    }

    /// There is one finding: of this code, with this text underlined, and with words of its message or help.
    #[track_caller]
    pub(super) fn only(&self, code: &str, underlined: &str, words: &str) {
        let lines = self.lines();
        assert_eq!(lines.len(), 1, "{lines:#?}");
        self.has(code, underlined, words);
    }

    /// There is a finding of this code, with this text underlined (any, where it is empty), and with words of its message
    /// or help.
    #[track_caller]
    pub(super) fn has(&self, code: &str, underlined: &str, words: &str) {
        let lines = self.lines();
        let begins = if underlined.is_empty() { format!("{code} ") } else { format!("{code} {underlined} | ") };
        assert!(
            lines.iter().any(|line| line.starts_with(&begins) && line.contains(words)),
            "`{begins}… {words}` is not in {lines:#?}"
        );
        assert!(crate::diag::codes::page(code).is_some(), "{code} has no page");
    }

    /// As people see it.
    pub(super) fn text(&self) -> String {
        findings_text(&self.files, &self.findings, Look::default())
    }
}

#[test]
fn the_base_has_no_findings() {
    let checked = check(&[]);
    assert!(checked.findings.is_empty(), "{}", checked.text());
}
