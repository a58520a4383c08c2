//! Servers that behave like vendors, keep what they are told and fail by a seed; and the connectors that ship against them: whatever goes
//! wrong, in the end there is exactly what there should be, and nothing was called delivered that the server did not take.
//!
//! Another test starts one with `Fake::start`, names its `url()` in a connection, and looks into its `state()`.

use std::collections::BTreeSet;

use cohorte::connector::{Deed, Outcome, Peer, Row, What};
use serde_json::{Value, json};

pub(crate) mod faults;
pub(crate) mod google;
pub(crate) mod http;
pub(crate) mod hubspot;
pub(crate) mod klaviyo;
pub(crate) mod mailchimp;
pub(crate) mod server;
pub(crate) mod wire;

use faults::Faults;
use server::Fake;
use wire::{Task, peer, row};

const SEEDS: u64 = 25;
/// So many requests of a hundred meet a fault.
const PERCENT: u64 = 30;
const GOOD: [&str; 6] = ["ann@x.fr", "bob@x.fr", "cid@x.fr", "dan@x.fr", "eve@x.fr", "fay@x.fr"];

/// Eight people, two of whom the vendor does not want.
fn people(fields: &Value) -> Vec<Row> {
    GOOD[..3]
        .iter()
        .chain(&["bad1@x.fr"])
        .chain(&GOOD[3..])
        .chain(&["bad2@x.fr"])
        .map(|email| row(email, fields))
        .collect()
}

fn email(row: &Row) -> &str {
    row.key["email"].as_str().unwrap()
}

fn of<'a>(emails: &[&'a str]) -> BTreeSet<&'a str> {
    emails.iter().copied().collect()
}

/// Those that are bad are rejected, all others were taken.
fn told_apart(rows: &[Row], outcomes: &[Outcome]) {
    for (row, outcome) in rows.iter().zip(outcomes) {
        let is_bad = email(row).starts_with("bad");
        assert_eq!(matches!(outcome, Outcome::Rejected { .. }), is_bad, "{} {outcome:?}", email(row));
    }
}

fn object<'a>(peer: &'a Peer, deed: Deed) -> Task<'a> {
    Task { peer, what: What::Object(&peer.connector.objects[0]), deed, audience: None }
}

fn audience<'a>(peer: &'a Peer, deed: Deed, name: &'a str) -> Task<'a> {
    Task { peer, what: What::Audience(&peer.connector.audiences[0]), deed, audience: Some(name) }
}

fn consent<'a>(peer: &'a Peer, deed: Deed) -> Task<'a> {
    Task { peer, what: What::Consent(peer.connector.consent.as_ref().unwrap()), deed, audience: None }
}

fn erase<'a>(peer: &'a Peer) -> Task<'a> {
    Task { peer, what: What::Erase(peer.connector.erase.as_ref().unwrap()), deed: Deed::Put, audience: None }
}

#[tokio::test]
async fn mailchimp_ends_with_exactly_what_is_wanted() {
    for seed in 0..SEEDS {
        let fake = Fake::start(mailchimp::Mailchimp::default(), Faults::seeded(seed, PERCENT));
        let peer = peer("mailchimp", format!("{}/", fake.url()), &[("server", "us1"), ("list", "abc")]);
        let rows = people(&json!({"FNAME": "A", "CITY": "Lyon"}));
        let is_member = |row: &Row| fake.state().members.contains_key(email(row));
        told_apart(&rows, &object(&peer, Deed::Put).settle(&rows, is_member).await);
        let good: Vec<Row> = GOOD.iter().map(|email| row(email, &json!({"FNAME": "B"}))).collect();
        object(&peer, Deed::Put).settle(&good, is_member).await;
        let has_tag = |row: &Row| fake.state().tags[0].1.contains(email(row));
        audience(&peer, Deed::Put, "VIP").settle(&good, has_tag).await;
        audience(&peer, Deed::Take, "VIP").settle(&good[..1], |row| !has_tag(row)).await;
        let has_left = |row: &Row| fake.state().members[email(row)].status == "unsubscribed";
        consent(&peer, Deed::Take).settle(&good[1..2], has_left).await;
        object(&peer, Deed::Take).settle(&good[2..3], |row| !is_member(row)).await;
        erase(&peer).settle(&good[3..4], |row| !is_member(row)).await;

        let state = fake.state();
        let members: BTreeSet<&str> = state.members.keys().map(String::as_str).collect();
        assert_eq!(members, of(&["ann@x.fr", "bob@x.fr", "eve@x.fr", "fay@x.fr"]), "seed {seed}");
        assert!(
            state
                .members
                .values()
                .all(|member| member.merge_fields["FNAME"] == "B" && member.merge_fields["CITY"] == "Lyon")
        );
        assert_eq!(state.members["bob@x.fr"].status, "unsubscribed");
        assert_eq!(state.members["ann@x.fr"].status, "subscribed");
        assert_eq!(state.tags.len(), 1, "a tag is made once, seed {seed}");
        assert_eq!(
            state.tags[0].1.iter().map(String::as_str).collect::<BTreeSet<_>>(),
            of(&["bob@x.fr", "eve@x.fr", "fay@x.fr"])
        );
        assert_eq!(state.forgotten.len(), 1);
    }
}

#[tokio::test]
async fn klaviyo_ends_with_exactly_what_is_wanted() {
    for seed in 0..SEEDS {
        let fake = Fake::start(klaviyo::Klaviyo::default(), Faults::seeded(seed, PERCENT));
        let peer = peer("klaviyo", fake.url(), &[]);
        let id_of = |address: &str| {
            let state = fake.state();
            state.profiles.iter().find(|(_, known)| known["email"] == address).map(|(id, _)| id.clone())
        };
        let is_profile = |row: &Row| id_of(email(row)).is_some();
        let rows = people(&json!({"first_name": "A", "city": "Lyon", "hot": true}));
        told_apart(&rows, &object(&peer, Deed::Put).settle(&rows, is_profile).await);
        let good: Vec<Row> = GOOD.iter().map(|email| row(email, &json!({"first_name": "B"}))).collect();
        object(&peer, Deed::Put).settle(&good[..5], is_profile).await;
        let on_list = |row: &Row| id_of(email(row)).is_some_and(|id| fake.state().lists[0].1.contains(&id));
        let more: Vec<Row> = good.iter().cloned().chain([row("new@x.fr", &json!({}))]).collect();
        audience(&peer, Deed::Put, "VIP").settle(&more, on_list).await;
        audience(&peer, Deed::Take, "VIP").settle(&good[..1], |row| !on_list(row)).await;
        let day = json!({"consented_at": "2026-01-02T03:04:05Z"});
        let grants: Vec<Row> = GOOD.iter().map(|email| row(email, &day)).collect();
        let is_subscribed = |row: &Row| fake.state().subscribed[email(row)];
        consent(&peer, Deed::Put).settle(&grants, is_subscribed).await;
        consent(&peer, Deed::Take).settle(&grants[1..2], |row| !is_subscribed(row)).await;
        erase(&peer).settle(&good[3..4], |row| !is_profile(row)).await;

        let state = fake.state();
        let emails: Vec<&str> = state.profiles.values().map(|known| known["email"].as_str().unwrap()).collect();
        assert_eq!(
            of(&emails),
            of(&["ann@x.fr", "bob@x.fr", "cid@x.fr", "eve@x.fr", "fay@x.fr", "new@x.fr"]),
            "seed {seed}"
        );
        assert_eq!(emails.len(), 6, "nobody is there twice");
        assert!(
            state
                .profiles
                .values()
                .filter(|known| known["email"] == "ann@x.fr")
                .all(|known| known["first_name"] == "B")
        );
        assert_eq!(state.lists.len(), 1, "a list is made once, seed {seed}");
        let members = state.lists[0].1.iter().map(|id| state.profiles[id]["email"].as_str().unwrap());
        assert_eq!(members.collect::<BTreeSet<_>>(), of(&["bob@x.fr", "cid@x.fr", "eve@x.fr", "fay@x.fr", "new@x.fr"]));
        let subscribed = state.subscribed.iter().filter(|(_, state)| **state).map(|(point, _)| point.as_str());
        assert_eq!(subscribed.collect::<BTreeSet<_>>(), of(&["ann@x.fr", "cid@x.fr", "eve@x.fr", "fay@x.fr"]));
        assert!(state.erased.contains("dan@x.fr"));
    }
}

#[tokio::test]
async fn hubspot_ends_with_exactly_what_is_wanted() {
    for seed in 0..SEEDS {
        let fake = Fake::start(hubspot::HubSpot::default(), Faults::seeded(seed, PERCENT));
        let peer = peer("hubspot", fake.url(), &[("subscription", "900")]);
        let id_of = |address: &str| {
            let state = fake.state();
            state.contacts.iter().find(|(_, known)| known["email"] == address).map(|(id, _)| id.clone())
        };
        let is_contact = |row: &Row| id_of(email(row)).is_some();
        let rows = people(&json!({"firstname": "A", "city": "Lyon"}));
        told_apart(&rows, &object(&peer, Deed::Put).settle(&rows, is_contact).await);
        let good: Vec<Row> = GOOD.iter().map(|email| row(email, &json!({"firstname": "B"}))).collect();
        object(&peer, Deed::Put).settle(&good, is_contact).await;
        let on_list = |row: &Row| id_of(email(row)).is_some_and(|id| fake.state().lists[0].1.contains(&id));
        let more: Vec<Row> = good.iter().cloned().chain([row("new@x.fr", &json!({}))]).collect();
        audience(&peer, Deed::Put, "VIP").settle(&more, on_list).await;
        audience(&peer, Deed::Take, "VIP").settle(&good[..1], |row| !on_list(row)).await;
        let is_subscribed = |row: &Row| fake.state().subscribed[&(email(row).to_owned(), 900)];
        let consents = people(&json!({}));
        told_apart(&consents, &consent(&peer, Deed::Put).settle(&consents, is_subscribed).await);
        consent(&peer, Deed::Take).settle(&good[1..2], |row| !is_subscribed(row)).await;
        object(&peer, Deed::Take).settle(&good[2..3], |row| !is_contact(row)).await;
        erase(&peer).settle(&good[3..4], |row| !is_contact(row)).await;

        let state = fake.state();
        let emails: Vec<&str> = state.contacts.values().map(|known| known["email"].as_str().unwrap()).collect();
        assert_eq!(of(&emails), of(&["ann@x.fr", "bob@x.fr", "eve@x.fr", "fay@x.fr", "new@x.fr"]), "seed {seed}");
        assert_eq!(emails.len(), 5, "nobody is there twice");
        assert_eq!(state.lists.len(), 1);
        let members = state.lists[0].1.iter().map(|id| state.contacts[id]["email"].as_str().unwrap());
        assert_eq!(
            members.collect::<BTreeSet<_>>(),
            of(&["bob@x.fr", "eve@x.fr", "fay@x.fr", "new@x.fr"]),
            "seed {seed}"
        );
        assert_eq!(state.subscribed.values().filter(|subscribed| **subscribed).count(), 5);
        assert!(state.blocked.contains("dan@x.fr"));
    }
}

#[tokio::test]
async fn google_ends_with_exactly_what_is_wanted() {
    for seed in 0..SEEDS {
        let fake = Fake::start(google::Google::default(), Faults::seeded(seed, PERCENT));
        let token_url = format!("{}/token", fake.url());
        let settings = [
            ("operating_account", "1"),
            ("ad_user_data", "GRANTED"),
            ("ad_personalization", "GRANTED"),
            ("terms_of_service", "ACCEPTED"),
            ("token_url", token_url.as_str()),
        ];
        let peer = peer("google_customer_match", fake.url(), &settings);
        let is_member = |row: &Row| fake.state().lists["555"].contains(&google::hashed(email(row)));
        let rows = people(&json!({}));
        told_apart(&rows, &audience(&peer, Deed::Put, "555").settle(&rows, is_member).await);
        let leave: Vec<Row> = GOOD[..2].iter().map(|email| row(email, &json!({}))).collect();
        audience(&peer, Deed::Take, "555").settle(&leave, |row| !is_member(row)).await;

        let wanted: BTreeSet<String> = GOOD[2..].iter().map(|email| google::hashed(email)).collect();
        assert_eq!(fake.state().lists["555"], wanted, "seed {seed}");
    }
}

/// Without faults nothing is asked twice, and a server can be told to fail while it runs.
#[tokio::test]
async fn a_server_fails_as_it_is_told() {
    let fake = Fake::start(google::Google::default(), Faults::none());
    let answer =
        |path: &str| http::exchange("GET", &format!("{}{path}", fake.url()), &[], b"").map(|reply| reply.status);
    assert_eq!((0..20).filter(|_| answer("/v1/x").is_ok_and(|status| status == 401)).count(), 20);
    fake.fail(Faults::seeded(7, 100));
    let mut statuses: BTreeSet<Option<u16>> = BTreeSet::new();
    statuses.extend((0..60).map(|_| answer("/v1/x").ok()));
    assert_eq!(statuses, BTreeSet::from([None, Some(200), Some(401), Some(429), Some(500), Some(503)]));
    assert_eq!(fake.state().lists.len(), 0);
}
