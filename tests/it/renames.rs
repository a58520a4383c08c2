//! `was: old_name`: what is remembered goes with a model that is renamed, once, whatever else has its old name.

use crate::library::Folder;

const BASE: &str = "
sources:
  people: {path: people.csv, format: csv, key: id, time: at, columns: {at: {type: timestamp}}}
  firms: {path: firms.csv, format: csv, key: id}
entities:
  customer:
    identity: {identifiers: {id: {}}, sources: {people: {role: record, ids: {id: id}}}}
    attributes: {name: {from: people.name}}
  company:
    identity: {identifiers: {firm_id: {}}, sources: {firms: {role: record, ids: {firm_id: id}}}}
    attributes: {title: {from: firms.title}}
";

const FIRST: &str = "2026-06-01T12:00:00Z";
const SECOND: &str = "2026-06-02T12:00:00Z";
const THIRD: &str = "2026-06-03T12:00:00Z";

fn folder(models: &str) -> Folder {
    let folder = Folder::new();
    folder.write("warehouse.yaml", "name: shop\nwarehouse: {root: ./warehouse}\ntimezone: Europe/Paris\n");
    folder.write("people.csv", "id,name,at\n1,Ann,2026-01-01T00:00:00Z\n2,Bob,2026-01-02T00:00:00Z\n");
    folder.write("firms.csv", "id,title\n7,Ada\n8,Bell\n");
    folder.write("models/base.yaml", BASE);
    folder.write("models/more.yaml", models);
    folder
}

/// Open stays: segment, whose, since, why.
async fn stays(folder: &Folder) -> Vec<String> {
    let sql = "select m.segment, coalesce(c.name, f.title), m.entered_at, m.exited_at from segment_members as m \
         left join customer as c on c.customer_id = m.entity_id left join company as f on f.company_id = m.entity_id";
    folder.query(sql).await
}

async fn builds_as(folder: &Folder, models: &str, as_of: [&str; 2], wanted: &[&str]) {
    folder.write("models/more.yaml", models);
    // In the run that renames, and in the one after it, which must not rename again.
    for as_of in as_of {
        folder.build(as_of).await;
        assert_eq!(stays(folder).await, wanted, "{as_of}: {models}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_segments_of_one_entity_swap_their_names() {
    for entity in ["customer", "company"] {
        let (column, one, two) = if entity == "customer" { ("name", "Ann", "Bob") } else { ("title", "Ada", "Bell") };
        let first = format!(
            "segments:\n  a: {{of: {entity}, when: \"{column} = '{one}'\"}}\n  b: {{of: {entity}, when: \"{column} = '{two}'\"}}\n"
        );
        let folder = folder(&first);
        folder.build(FIRST).await;
        let swapped = format!(
            "segments:\n  b: {{was: a, of: {entity}, when: \"{column} = '{one}'\"}}\n  a: {{was: b, of: {entity}, when: \"{column} = '{two}'\"}}\n"
        );
        let wanted = [format!("a | {two} | {FIRST} | ∅"), format!("b | {one} | {FIRST} | ∅")];
        builds_as(&folder, &swapped, [SECOND, THIRD], &wanted.each_ref().map(String::as_str)).await;
        let sizes = folder.query("select segment, as_of, members, entered, exited from segment_sizes").await;
        assert_eq!(sizes.len(), 6);
        assert!(sizes.iter().filter(|row| !row.contains(FIRST)).all(|row| row.ends_with("| 1 | 0 | 0")), "{sizes:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn segments_of_two_entities_swap_their_names() {
    let folder = folder(
        "segments:\n  a: {of: customer, when: \"name = 'Ann'\"}\n  b: {of: company, when: \"title = 'Bell'\"}\n",
    );
    folder.build(FIRST).await;
    // What were customers in `a` are customers in `b` now, and companies the other way round.
    let swapped = "segments:\n  b: {was: a, of: customer, when: \"name = 'Ann'\"}\n  a: {was: b, of: company, when: \"title = 'Bell'\"}\n";
    let wanted = [format!("a | Bell | {FIRST} | ∅"), format!("b | Ann | {FIRST} | ∅")];
    builds_as(&folder, swapped, [SECOND, THIRD], &wanted.each_ref().map(String::as_str)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renamed_score_keeps_its_history() {
    let folder = folder(
        "scores:\n  seen: {of: customer, points: [{did: people, points: 2}]}\n  firm: {of: company, points: [{did: firms, points: 5}]}\n",
    );
    folder.build(FIRST).await;
    let values = "select score, entity, value, as_of, count(*) from score_values group by score, entity, value, as_of";
    // Renamed, and another score takes the old name; what is remembered of the other entity stays.
    folder.write(
        "models/more.yaml",
        "scores:\n  activity: {was: seen, of: customer, points: [{did: people, points: 2}]}\n  seen: {of: customer, points: [{did: people, points: 3}]}\n  firm: {of: company, points: [{did: firms, points: 5}]}\n",
    );
    let mut wanted =
        vec![format!("activity | customer | 2.0 | {FIRST} | 2"), format!("firm | company | 5.0 | {FIRST} | 2")];
    for as_of in [SECOND, THIRD] {
        folder.build(as_of).await;
        wanted.push(format!("activity | customer | 2.0 | {as_of} | 2"));
        wanted.push(format!("firm | company | 5.0 | {as_of} | 2"));
        wanted.push(format!("seen | customer | 3.0 | {as_of} | 2"));
        wanted.sort();
        assert_eq!(folder.query(values).await, wanted, "{as_of}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_source_keeps_has_the_new_names_too_and_takes_them_over_once() {
    let old = "
traits:
  t: {of: customer, count: visits}
  u: {of: customer, sql: \"t * 10\"}
scores:
  a: {of: customer, points: [{did: visits, points: 2}]}
  b: {of: customer, points: [{did: visits, points: 3}]}
segments:
  seen: {of: customer, when: {did: visits}}
";
    let swapped = "
traits:
  u: {was: t, of: customer, count: visits}
  t: {was: u, of: customer, sql: \"u * 10\"}
scores:
  b: {was: a, of: customer, points: [{did: visits, points: 2}]}
  a: {was: b, of: customer, points: [{did: visits, points: 3}]}
segments:
  met: {was: seen, of: customer, when: {did: visits}}
";
    let folder = folder(old);
    let base = BASE
        .replace(
            "\nsources:",
            "\nsources:\n  visits: {path: visits.csv, format: csv, key: n, time: at, columns: {at: {type: timestamp}}}",
        )
        .replace("ids: {id: id}}}", "ids: {id: id}}, visits: {role: attach, ids: {id: person}}}");
    folder.write("models/base.yaml", &base);
    let visits = "n,person,at\n1,1,2026-05-01T00:00:00Z\n";
    folder.write("visits.csv", visits);
    folder.build(FIRST).await;
    let values = "select name, t, u, a, b from customer where name = 'Ann'";
    let history = "select score, value, as_of from score_values where value > 0";
    assert_eq!(folder.query(values).await, ["Ann | 1 | 10 | 2.0 | 3.0"]);
    // Facts that cannot be relied on: what descends from them is not computed.
    folder.write("visits.csv", &format!("{visits}1,1,2026-05-01T00:00:00Z\n"));
    let moved = [format!("a | 3.0 | {FIRST}"), format!("b | 2.0 | {FIRST}")];
    let stay = format!("met | Ann | {FIRST} | ∅");
    folder.write("models/more.yaml", swapped);
    for as_of in [SECOND, THIRD] {
        assert!(!folder.build(as_of).await.kept.is_empty());
        assert_eq!(folder.query(values).await, ["Ann | 10 | 1 | 3.0 | 2.0"], "{as_of}");
        assert_eq!(folder.query(history).await, moved, "{as_of}");
        assert_eq!(stays(&folder).await, [stay.as_str()], "{as_of}");
    }
    folder.write("visits.csv", visits);
    let fourth = "2026-06-04T12:00:00Z";
    assert!(folder.build(fourth).await.kept.is_empty());
    assert_eq!(folder.query(values).await, ["Ann | 10 | 1 | 3.0 | 2.0"]);
    let last = [format!("a | 3.0 | {fourth}"), format!("b | 2.0 | {fourth}")];
    assert_eq!(folder.query(history).await, [&moved[0], &last[0], &moved[1], &last[1]].map(String::as_str));
    assert_eq!(stays(&folder).await, [stay.as_str()]);
}
