//! What consents say of each contact point: second steps, scopes, several entities.

use super::shop::{CRM, LETTER, NOBODY, PREFS, Shop, purpose};

#[tokio::test(flavor = "multi_thread")]
async fn a_second_step_confirms_a_grant() {
    let rows = [
        // Granted and confirmed, at once; granted alone; confirmed alone.
        "ann@x.fr,,granted,2025-01-01T00:00:00Z",
        "ann@x.fr,,confirmed,2025-01-02T00:00:00Z",
        "bob@x.fr,,granted,2025-01-01T00:00:00Z",
        "bob@x.fr,,confirmed,2025-01-01T00:00:00Z",
        "cyd@x.fr,,granted,2025-01-01T00:00:00Z",
        "dan@x.fr,,confirmed,2025-01-01T00:00:00Z",
        // A withdrawal in between; a later grant asks again.
        "eve@x.fr,,confirmed,2025-01-01T00:00:00Z",
        "eve@x.fr,,withdrawn,2025-01-02T00:00:00Z",
        "eve@x.fr,,granted,2025-01-03T00:00:00Z",
        "fay@x.fr,,confirmed,2025-01-01T00:00:00Z",
        "fay@x.fr,,withdrawn,2025-01-01T00:00:00Z",
    ];
    let people: Vec<String> =
        ["ann", "bob", "cyd", "dan", "eve", "fay"].iter().map(|name| format!("{name},{name}@x.fr,,Lyon,")).collect();
    let people: Vec<&str> = people.iter().map(String::as_str).collect();
    let mut shop = Shop::new(&[CRM, &purpose(", double_opt_in: true"), PREFS, LETTER]);
    shop.crm(&people).prefs(&rows);
    assert_eq!(shop.sends(&["run"]), ["added ann@x.fr", "added bob@x.fr", "added dan@x.fr"]);
    assert_eq!(
        shop.folder.query("select contact_point, status, since from consents").await,
        [
            "ann@x.fr | granted | 2025-01-02T00:00:00Z",
            "bob@x.fr | granted | 2025-01-01T00:00:00Z",
            "cyd@x.fr | pending | 2025-01-01T00:00:00Z",
            "dan@x.fr | granted | 2025-01-01T00:00:00Z",
            "eve@x.fr | pending | 2025-01-03T00:00:00Z",
            "fay@x.fr | withdrawn | 2025-01-01T00:00:00Z",
        ]
    );
    let ledger = shop.folder.query("select status, count(*) from consent_ledger group by status").await;
    assert_eq!(ledger, ["confirmed | 5", "granted | 4", "withdrawn | 2"], "events are kept as they came");
    // Where no second step is needed, it is one more grant.
    shop.folder.write("models/1.yaml", &purpose(""));
    assert_eq!(shop.sends(&["run"]), ["added cyd@x.fr", "added eve@x.fr"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn consent_is_given_per_scope() {
    let by = purpose(", by: [brand]");
    let people =
        ["1,ann@x.fr,,Lyon,maison", "2,bob@x.fr,,Lyon,maison", "3,cyd@x.fr,,Lyon,", "4,dan@x.fr,,Lyon,atelier"];
    let rows = [
        "ann@x.fr,maison,granted,2025-01-01T00:00:00Z",
        "bob@x.fr,atelier,granted,2025-01-01T00:00:00Z",
        "cyd@x.fr,maison,granted,2025-01-01T00:00:00Z",
        // A grant without a scope covers none.
        "dan@x.fr,,granted,2025-01-01T00:00:00Z",
    ];
    let readers = "segments:\n  readers: {when: {consent: {purpose: news}}}\n  of_atelier: {when: {consent: {purpose: news, scope: {value: atelier}}}}\n  of_upper: {when: {consent: {purpose: news, scope: \"lower(upper(brand))\"}}}\n";
    let mut shop = Shop::new(&[CRM, &by, PREFS, LETTER, readers]);
    shop.crm(&people).prefs(&rows);
    assert_eq!(shop.sends(&["run"]), ["added ann@x.fr"]);
    let members = "select m.segment, c.email from segment_members as m join customer as c on c.customer_id = m.entity_id where m.segment <> 'here' and m.exited_at is null";
    let wanted = ["of_atelier | bob@x.fr", "of_upper | ann@x.fr", "readers | ann@x.fr"];
    assert_eq!(shop.folder.query(members).await, wanted);
    let (_, plan) = shop.cohorte(&["plan"]);
    assert!(plan.contains("no scope") && plan.contains("no consent"), "{plan}");

    // A withdrawal in another scope concerns nobody here; one without a scope covers all, until something else is said.
    let mut rows = rows.to_vec();
    rows.push("ann@x.fr,atelier,withdrawn,2025-02-01T00:00:00Z");
    shop.prefs(&rows);
    assert_eq!(shop.sends(&["run"]), NOBODY);
    rows.push("ann@x.fr,,withdrawn,2025-03-01T00:00:00Z");
    shop.prefs(&rows);
    assert_eq!(shop.sends(&["sync"]), ["removed ann@x.fr"]);
    rows.push("ann@x.fr,maison,granted,2025-04-01T00:00:00Z");
    shop.prefs(&rows);
    assert_eq!(shop.sends(&["run"]), ["added ann@x.fr"]);

    // Another brand writes to her now: what was sent under the first has no consent there.
    shop.crm(&["1,ann@x.fr,,Lyon,atelier", people[1], people[2], people[3]]);
    assert_eq!(shop.sends(&["run"]), ["removed ann@x.fr"]);
    // A scope that is said stands for all.
    shop.folder.write("models/3.yaml", &LETTER.replace("{purpose: news}", "{purpose: news, scope: {value: maison}}"));
    assert_eq!(shop.sends(&["run"]), ["added ann@x.fr", "added cyd@x.fr"]);
    shop.folder.write(
        "models/3.yaml",
        &LETTER.replace("{purpose: news}", "{purpose: news, scope: \"concat('ate', 'lier')\"}"),
    );
    assert_eq!(shop.sends(&["run"]), ["added bob@x.fr", "removed ann@x.fr", "removed cyd@x.fr"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scope_of_several_columns_and_a_legitimate_interest_per_scope() {
    let by = purpose(", basis: legitimate_interest, by: [brand, city]");
    let prefs = PREFS.replace(
        "status: state",
        "scope: \"case when brand is not null then concat('[\\\"', brand, '\\\",\\\"Lyon\\\"]') end\", status: state",
    );
    let mut shop = Shop::new(&[CRM, &by, &prefs, LETTER]);
    shop.crm(&["1,ann@x.fr,,Lyon,maison", "2,bob@x.fr,,Lyon,maison", "3,cyd@x.fr,,Lyon,maison", "4,dan@x.fr,,Lyon,"]);
    shop.prefs(&["ann@x.fr,maison,withdrawn,2025-01-01T00:00:00Z", "bob@x.fr,,withdrawn,2025-01-01T00:00:00Z"]);
    assert_eq!(shop.sends(&["run"]), ["added cyd@x.fr"]);
    shop.prefs(&["cyd@x.fr,,withdrawn,2025-01-01T00:00:00Z"]);
    // What the ledger once had stays said.
    assert_eq!(shop.sends(&["run"]), ["removed cyd@x.fr"]);
}

const COMPANIES: &str = "
sources:
  firms: {path: firms.csv, format: csv, key: id, columns: {mail: {type: email}}}
  calls: {path: calls.csv, format: csv, key: id, columns: {firm: {type: text}}}
entities:
  company:
    identity:
      identifiers: {firm_id: {}, mail: {type: email}}
      sources:
        firms: {role: record, ids: {firm_id: id, mail: mail}}
        calls: {role: attach, ids: {firm_id: firm}}
    attributes: {mail: {from: firms.mail}, town: {from: firms.town}}
segments:
  firms_here: {of: company, when: {all: [\"town = 'Lyon'\", {consent: {purpose: news}}]}}
consents:
  calls: {source: calls, purpose: {value: news}, channel: {value: email}, status: {value: withdrawn}, at: at}
syncs:
  firm_letter:
    from: {segment: firms_here}
    to: {connection: drop}
    on_withdraw: delete
    key: {mail: mail}
    fields: {mail: mail, town: town}
    consent: {purpose: news}
  firm_consents:
    from: {consents: [news], entity: company}
    to: {connection: drop}
    key: {mail: contact_point}
    fields: {state: status}
";

/// Ann's address is a firm's, too.
fn companies() -> Shop {
    let crm = CRM.replace("here: {when", "here: {of: customer, when");
    let shop = Shop::new(&[&crm, &purpose(""), PREFS, LETTER, COMPANIES]);
    shop.folder.write("firms.csv", "id,mail,town\n7,ann@x.fr,Lyon\n8,desk@firm.fr,Lyon\n");
    shop.folder.write("calls.csv", "id,firm,at\n");
    shop.crm(&["1,ann@x.fr,,Lyon,", "2,bob@x.fr,,Lyon,"]);
    shop
}

#[tokio::test(flavor = "multi_thread")]
async fn consents_belong_to_every_entity_that_has_the_contact_point() {
    let mut shop = companies();
    let mut rows = vec![
        "ann@x.fr,,granted,2025-01-01T00:00:00Z",
        "desk@firm.fr,,granted,2025-01-01T00:00:00Z",
        "bob@x.fr,,granted,2025-01-01T00:00:00Z",
        "nobody@x.fr,,granted,2025-01-01T00:00:00Z",
    ];
    shop.prefs(&rows);
    let sent = shop.sends(&["run"]);
    // The letter, the firms' letter, and the states of the firms' addresses.
    assert_eq!(
        sent,
        [
            "added ann@x.fr",
            "added ann@x.fr",
            "added ann@x.fr",
            "added bob@x.fr",
            "added desk@firm.fr",
            "added desk@firm.fr"
        ]
    );
    let states = "select s.entity, s.contact_point, s.status, s.customer_id is null, coalesce(c.email, f.mail) \
         from consents as s left join customer as c on c.customer_id = s.customer_id left join company as f on f.company_id = s.customer_id";
    assert_eq!(
        shop.folder.query(states).await,
        [
            "company | ann@x.fr | granted | false | ann@x.fr",
            "company | desk@firm.fr | granted | false | desk@firm.fr",
            "customer | ann@x.fr | granted | false | ann@x.fr",
            "customer | bob@x.fr | granted | false | bob@x.fr",
            "customer | nobody@x.fr | granted | true | ∅",
        ]
    );
    let ledger = "select entity, contact_point, customer_id is null from consent_ledger";
    assert_eq!(
        shop.folder.query(ledger).await,
        [
            "company | desk@firm.fr | false",
            "customer | ann@x.fr | false",
            "customer | bob@x.fr | false",
            "customer | nobody@x.fr | true"
        ]
    );
    // A firm says no by telephone, naming no address: all of the firm's points are covered, whoever else has them.
    shop.folder.write("calls.csv", "id,firm,at\n1,7,2025-02-01T00:00:00Z\n");
    let sent = shop.sends(&["sync"]);
    assert_eq!(sent, ["removed ann@x.fr", "removed ann@x.fr", "updated ann@x.fr"]);
    rows.push("desk@firm.fr,,withdrawn,2025-02-01T00:00:00Z");
    shop.prefs(&rows);
    assert_eq!(shop.sends(&["run"]), ["removed desk@firm.fr", "updated desk@firm.fr"]);
    assert_eq!(shop.sends(&["run"]), NOBODY);
}

#[tokio::test(flavor = "multi_thread")]
async fn consents_of_an_entity_that_is_kept_are_as_fresh_as_those_of_the_others() {
    let mut shop = companies();
    let mut rows = vec!["ann@x.fr,,granted,2025-01-01T00:00:00Z", "desk@firm.fr,,granted,2025-01-01T00:00:00Z"];
    shop.prefs(&rows);
    shop.sends(&["run"]);
    // Which firms there are is not known any more; whose addresses are whose stays as it was, also for a withdrawal by telephone.
    shop.folder.write("firms.csv", "id,mail,town\n7,ann@x.fr,Lyon\n8,desk@firm.fr,Lyon\n8,new@firm.fr,Lyon\n");
    shop.folder.write("calls.csv", "id,firm,at\n1,7,2025-02-01T00:00:00Z\n");
    rows.extend(["bob@x.fr,,granted,2025-01-01T00:00:00Z", "new@firm.fr,,granted,2025-01-01T00:00:00Z"]);
    shop.prefs(&rows);
    let (code, said) = shop.cohorte(&["run"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("E605") && said.contains("`entity:company` was not built"), "{said}");
    // The firms' letter is held back but for the withdrawal, so are their states; the customers' letter is not.
    assert_eq!(shop.sent(), ["added bob@x.fr", "removed ann@x.fr", "removed ann@x.fr", "updated ann@x.fr"]);
    let states = "select entity, contact_point, status, customer_id is null from consents";
    assert_eq!(
        shop.folder.query(states).await,
        [
            "company | ann@x.fr | withdrawn | false",
            "company | desk@firm.fr | granted | false",
            "customer | ann@x.fr | withdrawn | false",
            "customer | bob@x.fr | granted | false",
            "customer | new@firm.fr | granted | true",
        ]
    );
    shop.folder.write("firms.csv", "id,mail,town\n7,ann@x.fr,Lyon\n8,desk@firm.fr,Lyon\n9,new@firm.fr,Lyon\n");
    assert_eq!(shop.sends(&["run"]), ["added new@firm.fr", "added new@firm.fr"]);
}
