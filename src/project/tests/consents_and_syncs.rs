//! Purposes, consents and syncs.

use super::base::{added, changed, changed_all};

#[test]
fn statuses_of_consent() {
    changed("out: withdrawn", "out: gone").only(
        "E122",
        "gone",
        "a status is `granted`, `confirmed`, `withdrawn` or `pending`",
    );
    changed("{column: state, map: {in: granted, out: withdrawn}}", "{value: yes}").only("E122", "yes", "no status");
    changed("{column: state, map: {in: granted, out: withdrawn}}", "{}").only("E122", "{}", "a status is SQL");
    changed("{column: state, map: {in: granted, out: withdrawn}}", "\"1\"").only("E204", "\"1\"", "text is needed");
    changed("at: captured_at", "at: 3").only("E204", "3", "`at` is integer, a time is needed");
    changed("at: captured_at", "at: captured_ta").only("E202", "captured_ta", "did you mean `captured_at`?");
    changed("contact: email", "contact: emails").only("E202", "emails", "did you mean `email`?");
    changed("purpose: purpose", "purpose: {value: newsleter}").only(
        "E202",
        "{value: newsleter}",
        "did you mean `newsletter`?",
    );
    changed("source: preference_centre\n", "source: preference_center\n").only(
        "E202",
        "preference_center",
        "did you mean `preference_centre`?",
    );
}

#[test]
fn who_is_sent_and_where() {
    changed("{segment: vip, where: \"country = 'FR'\"}", "{segment: vip, entity: customer}").only(
        "E134",
        "vips",
        "exactly one of",
    );
    changed("{segment: vip, where: \"country = 'FR'\"}", "{}").only("E134", "vips", "exactly one of");
    changed("{segment: vip, where", "{segment: vips, where").only("E202", "vips", "did you mean `vip`?");
    changed("\"country = 'FR'\"", "country").only("E204", "country", "boolean is needed here");
    changed("connection: dwh", "connection: dhw").only("E202", "dhw", "did you mean `dwh`?");
    changed("{segment: vip, where: \"country = 'FR'\"}", "{consents: [newsletters]}").only(
        "E202",
        "newsletters",
        "`newsletter`",
    );
    changed("object: vips}", "object: vips, format: csv}").only("E133", "csv", "only a `files` connection");
    changed("{connection: dwh, object: vips}", "{connection: drop, format: xlsx}").only(
        "E133",
        "xlsx",
        "`ndjson`, `csv`",
    );
}

#[test]
fn what_a_sync_must_say() {
    changed("    on_remove: delete\n", "").only("E130", "vips", "`on_remove: delete`");
    changed("on_remove: delete", "on_remove: delet").only("E130", "delet", "did you mean `delete`?");
    changed("on_remove: delete", "on_remove: {clear: [vips]}").only("E202", "vips", "did you mean `vip`?");
    changed("    on_withdraw: delete\n", "").only("E131", "vips", "when consent is withdrawn");
    changed("on_withdraw: delete", "on_withdraw: nothing").only("E131", "nothing", "cannot be ignored");
    changed("    first_run: send\n", "").only("E132", "vips", "`first_run: send`");
    changed("first_run: send", "first_run: sent").has("E102", "sent", "did you mean `send`?");
    changed("    key: email\n", "").only("E135", "vips", "has no `key`");
    changed("key: email", "key: [email, first_name]").only("E135", "email", "a table has one key");
    changed("key: email", "key: e_mail").only("E202", "e_mail", "did you mean `email`?");
    let no_fields =
        changed("    fields: {email: email, first_name: first_name, ltv: \"round(revenue, 2)\", vip: true}\n", "");
    no_fields.has("E133", "vips", "has no `fields`");
    changed("first_name: first_name, ltv", "first_name: firstname, ltv").only("E202", "firstname", "`first_name`");
}

#[test]
fn consent_gates() {
    changed("    consent: {purpose: newsletter}\n", "").only("E136", "vips", "names no consent");
    changed("consent: {purpose: newsletter}", "consent: {}").only("E136", "{}", "`consent` needs `purpose`, or `none`");
    changed("consent: {purpose: newsletter}", "consent: {none: ''}").only("E136", "''", "in words");
    changed("consent: {purpose: newsletter}", "consent: {purpose: newletter}").only(
        "E202",
        "newletter",
        "`newsletter`",
    );
    changed("consent: {purpose: newsletter}", "consent: {purpose: newsletter, channel: sms}").only(
        "E202",
        "sms",
        "it has email",
    );
    let unsent = changed("key: email\n    fields: {email: email, ", "key: {customer_id: customer_id}\n    fields: {");
    unsent.only("E137", "{purpose: newsletter}", "sends no contact point of the channel `email`");
}

#[test]
fn queries_of_a_sync() {
    let from = |sql: &str| changed("{segment: vip, where: \"country = 'FR'\"}", &format!("{{sql: \"{sql}\"}}"));
    assert!(from("select customer_id from customer where first_seen_at < now()").findings.is_empty());
    for sql in [
        "delete from customer",
        "select 1; select 2",
        "insert into customer values (1)",
        "copy customer to 'x.csv'",
        "create table x as select 1",
        "with x as (insert into customer values (1) returning *) select * from x",
        "select * into stolen from customer",
        "select * from (select 1 union all (select * into y from customer)) as z",
        "",
    ] {
        from(sql).only("E207", &format!("\"{sql}\""), "one SELECT over the project's tables");
    }
    for sql in [
        "select random() from customer",
        "select pg_catalog.RANDOM() as x",
        "select * from read_csv('/etc/passwd')",
        "select * from customer where customer_id in (select uuid())",
    ] {
        from(sql).only("E206", &format!("\"{sql}\""), "is not allowed");
    }
    from("select * form customer c").has("E201", "c", "this is not valid SQL");
}

#[test]
fn a_sync_of_a_segment_that_is_wrong_is_not_blamed() {
    let checked = added(
        "segments:\n  w: {when: \"revenu\"}\nsyncs:\n  s: {from: {segment: w}, to: {connection: drop}, key: email}",
    );
    checked.only("E202", "revenu", "`revenue`");
}

#[test]
fn scopes_of_consents() {
    let scoped = |from: &str, to: &str| {
        changed_all(&[
            ("newsletter: {channels: [email]}", "newsletter: {channels: [email], by: [country]}"),
            (from, to),
        ])
    };
    let said = ("    at: captured_at\n", "    at: captured_at\n    scope: \"left(state, 2)\"\n");
    // The customer has a country, and the source says the scope.
    assert!(scoped(said.0, said.1).findings.is_empty(), "{}", scoped(said.0, said.1).text());
    scoped("at: captured_at", "at: captured_at").only("E138", "country", "no source of consents says the scope");
    let elsewhere = |by: &str, gate: &str| {
        changed_all(&[
            ("newsletter: {channels: [email]}", &format!("newsletter: {{channels: [email], by: [{by}]}}")),
            said,
            ("consent: {purpose: newsletter}", gate),
        ])
    };
    elsewhere("brand", "consent: {purpose: newsletter}").only(
        "E138",
        "{purpose: newsletter}",
        "`scope: {value: maison}`",
    );
    assert!(elsewhere("brand", "consent: {purpose: newsletter, scope: {value: maison}}").findings.is_empty());
    assert!(elsewhere("brand", "consent: {purpose: newsletter, scope: \"lower(country)\"}").findings.is_empty());
    changed("consent: {purpose: newsletter}", "consent: {purpose: newsletter, scope: country}").only(
        "E138",
        "country",
        "given once for all",
    );
    // A condition reads consents before there are traits.
    let condition = |scope: &str| {
        changed_all(&[
            ("newsletter: {channels: [email]}", "newsletter: {channels: [email], by: [country, revenue]}"),
            said,
            (
                "{did: page_viewed, where",
                &format!("{{consent: {{purpose: newsletter{scope}}}}}, {{did: page_viewed, where"),
            ),
        ])
    };
    condition("").only("E138", "{purpose: newsletter}", "not in the golden record of the customer");
    assert!(condition(", scope: country").findings.is_empty());
    condition(", scope: revenue").only("E202", "revenue", "golden record");
}
