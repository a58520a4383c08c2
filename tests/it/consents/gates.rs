//! What a gate holds back or takes back, and what nobody may see.

use std::collections::BTreeSet;

use super::shop::{CRM, LETTER, NOBODY, PREFS, Shop, purpose};

#[test]
fn an_update_that_replaces_a_contact_point_needs_its_consent_and_passes_guards() {
    let sync = LETTER
        .replace("    mode: mirror\n    on_remove: delete\n", "    guard: {min_rows: 100}\n")
        .replace("key: email", "key: {id: customer_id}");
    let mut shop = Shop::new(&[CRM, &purpose(""), PREFS, &sync]);
    let grants = ["ann@x.fr,,granted,2025-01-01T00:00:00Z", "bob@x.fr,,granted,2025-01-01T00:00:00Z"];
    shop.crm(&["1,ann@x.fr,,Lyon,", "2,bob@x.fr,,Lyon,"]).prefs(&grants);
    assert_eq!(shop.sends(&["run", "--accept", "letter"]), ["added ann@x.fr", "added bob@x.fr"]);

    // A new address that has no consent is not sent: the row goes, guard or not. One that has replaces an address that
    // was withdrawn, guard or not.
    shop.crm(&["1,new@x.fr,,Lyon,", "2,bert@x.fr,,Lyon,"]);
    shop.prefs(&[
        grants[0],
        grants[1],
        "bob@x.fr,,withdrawn,2025-02-01T00:00:00Z",
        "bert@x.fr,,granted,2025-02-01T00:00:00Z",
    ]);
    let (code, said) = shop.cohorte(&["run"]);
    assert_eq!(code, Some(3), "{said}");
    let mut sent = Vec::new();
    for entry in std::fs::read_dir(shop.folder.path().join("outbox/letter")).unwrap() {
        let path = entry.unwrap().path();
        let operation = path.file_name().unwrap().to_str().unwrap().split('.').nth(1).unwrap().to_owned();
        if !shop.seen.contains(&path) {
            sent.extend(std::fs::read_to_string(&path).unwrap().lines().map(|line| format!("{operation} {line}")));
        }
    }
    sent.sort();
    assert_eq!(sent.len(), 2, "{sent:?}");
    assert!(
        sent[0].starts_with("removed ") && sent[1].starts_with("updated ") && sent[1].contains("bert@x.fr"),
        "{sent:?}"
    );
    assert!(sent.iter().all(|line| !line.contains("new@x.fr")), "{sent:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_withdrawal_covers_the_points_of_its_own_record() {
    // The record is a prospect's, which identity knows nothing of: its own columns are all there is.
    let leads = "
sources:
  leads: {path: leads.csv, format: csv, key: id, columns: {email: {type: email}, second: {type: email}}}
consents:
  leads: {source: leads, contact: email, purpose: {value: news}, channel: {value: email}, status: state, at: at}
";
    let shop = Shop::new(&[CRM, &purpose(""), leads]);
    shop.crm(&["1,ann@x.fr,,Lyon,"]).prefs(&[]);
    shop.folder.write(
        "leads.csv",
        "id,email,second,state,at\n\
         1,,ann@x.fr,withdrawn,2025-01-01T00:00:00Z\n\
         2,broken,bob@x.fr,withdrawn,2025-01-01T00:00:00Z\n\
         3,broken,cyd@x.fr,granted,2025-01-01T00:00:00Z\n\
         4,,dan@x.fr,granted,2025-01-01T00:00:00Z\n",
    );
    let (code, said) = shop.cohorte(&["build"]);
    assert_eq!(code, Some(0), "{said}");
    // A grant for an address that cannot be read is no grant for another.
    assert_eq!(
        shop.folder.query("select contact_point, status from consents").await,
        ["ann@x.fr | withdrawn", "bob@x.fr | withdrawn", "dan@x.fr | granted"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn contact_points_of_untyped_columns_are_normalised() {
    let crm = CRM.replace(
        "prefs.csv, format: csv, key: id, columns: {email: {type: email}, brand",
        "prefs.csv, format: csv, key: id, columns: {brand",
    );
    assert_ne!(crm, CRM);
    let mut shop = Shop::new(&[&crm, &purpose(""), PREFS, LETTER]);
    shop.crm(&["1,Ann@X.fr,,Lyon,"]);
    shop.prefs(&["\"  ANN@x.FR \",,granted,2025-01-01T00:00:00Z", "+33 6 12 34 56 78,,granted,2025-01-01T00:00:00Z"]);
    assert_eq!(shop.sends(&["run"]), ["added ann@x.fr"]);
    assert_eq!(shop.folder.query("select contact_point from consents").await, ["+33612345678", "ann@x.fr"]);
}

#[test]
fn e117_a_source_may_not_have_the_name_of_a_table_of_ours() {
    for name in
        ["consents", "customer", "customer_ids", "consent_history", "events", "sync_state", "before_x", "crm_resolved"]
    {
        let more = format!("sources:\n  {name}: {{path: crm.csv, format: csv, key: id}}\n");
        let shop = Shop::new(&[CRM, &more]);
        shop.crm(&["1,ann@x.fr,,Lyon,"]).prefs(&[]);
        let (code, said) = shop.cohorte(&["check"]);
        assert!(code == Some(1) && said.contains("E117") && said.contains(name), "{name}: {said}");
    }
}

#[test]
fn a_guarded_baseline_sends_nothing_and_stays_the_first_run() {
    let sync =
        LETTER.replace("    key: email\n", "    key: email\n    first_run: baseline\n    guard: {min_rows: 2}\n");
    let mut shop = Shop::new(&[CRM, &purpose(""), PREFS, &sync]);
    shop.crm(&["1,ann@x.fr,,Lyon,"]).prefs(&["ann@x.fr,,granted,2025-01-01T00:00:00Z"]);
    let (code, said) = shop.cohorte(&["run"]);
    assert_eq!((code, shop.sent()), (Some(3), Vec::new()), "{said}");
    // Accepted, it is the baseline still: taken as delivered, not sent.
    assert_eq!(shop.sends(&["run", "--accept", "letter"]), NOBODY);
    shop.crm(&["1,ann@x.fr,,Nice,"]);
    assert_eq!(shop.sends(&["run", "--accept", "letter"]), ["removed ann@x.fr"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_first_run_added_before_it_died_is_not_added_twice() {
    let shop = Shop::new(&[CRM, &purpose(""), PREFS, "scores:\n  active: {points: [{did: crm, points: 1}]}\n"]);
    shop.crm(&["1,ann@x.fr,,Lyon,"]).prefs(&["ann@x.fr,,granted,2025-01-01T00:00:00Z"]);
    assert_eq!(shop.cohorte(&["build"]).0, Some(0));
    // As if it had died before the last of its commits: what it wrote is there, the row in `runs` is not.
    std::fs::remove_dir_all(shop.folder.path().join("warehouse/cdp/runs")).unwrap();
    assert_eq!(shop.cohorte(&["build"]).0, Some(0));
    for table in ["consent_ledger", "customer_ids", "score_values", "segment_sizes"] {
        assert_eq!(shop.folder.query(&format!("select count(*) from {table}")).await, ["1"], "{table}");
    }
    let steps = shop.folder.query("select model from run_steps").await;
    assert_eq!(steps.iter().collect::<BTreeSet<_>>().len(), steps.len(), "{steps:?}");
}

#[test]
fn stored_columns_behind_personal_ones_are_masked() {
    let crm = CRM.replace("brand: {from: crm.brand}", "brand: {from: crm.brand}, tel: {from: crm.tel}")
        + "traits:\n  last_tel: {last: crm.tel}\n  tail: {sql: \"substr(tel, 4)\"}\n";
    let sync = LETTER.replace("city: city}", "city: city, tel: tel, last_tel: last_tel, tail: tail}");
    let crm = crm.replace("crm: {path: crm.csv, format: csv, key: id,", "crm: {path: crm.csv, format: csv, key: id, ");
    let shop = Shop::new(&[&crm, &purpose(""), PREFS, &sync]);
    shop.crm(&["1,ann@x.fr,0612345678,Lyon,"]).prefs(&["ann@x.fr,,granted,2025-01-01T00:00:00Z"]);
    let (code, plan) = shop.cohorte(&["plan"]);
    assert!(code == Some(0) && plan.contains("Lyon"), "{plan}");
    assert!(!plan.contains("345678") && !plan.contains("ann@"), "{plan}");
    assert_eq!(shop.cohorte(&["build"]).0, Some(0));
    let log = std::fs::read_dir(shop.folder.path().join("warehouse/cdp/customer/_delta_log")).unwrap();
    let log: String = log.filter_map(|entry| std::fs::read_to_string(entry.unwrap().path()).ok()).collect();
    assert!(log.contains("minValues") && log.contains("Lyon"), "other columns have statistics");
    assert!(!log.contains("345678"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_that_has_lapsed_by_now_is_not_sent_in_a_run_of_the_past() {
    let mut shop = Shop::new(&[CRM, &purpose(", valid_for: 30d"), PREFS, LETTER]);
    shop.crm(&["1,ann@x.fr,,Lyon,", "2,bob@x.fr,,Lyon,"]);
    let old = "ann@x.fr,,granted,2025-01-01T00:00:00Z";
    shop.prefs(&[old, "bob@x.fr,,granted,2025-01-01T00:00:00Z"]);
    let past = ["--as-of", "2025-01-10"];
    let (_, plan) = shop.cohorte(&["plan", past[0], past[1]]);
    assert!(plan.contains("consent expired"), "{plan}");
    assert_eq!(shop.sends(&["run", past[0], past[1]]), NOBODY);
    let states = "select contact_point, status from consents";
    assert_eq!(shop.folder.query(states).await, ["ann@x.fr | granted", "bob@x.fr | granted"], "as of then");

    // What was delivered while it was granted is taken back.
    shop.folder.write("models/1.yaml", &purpose(""));
    assert_eq!(shop.sends(&["run", past[0], past[1]]), ["added ann@x.fr", "added bob@x.fr"]);
    shop.folder.write("models/1.yaml", &purpose(", valid_for: 30d"));
    assert_eq!(shop.sends(&["sync", past[0], past[1]]), ["removed ann@x.fr", "removed bob@x.fr"]);
}
