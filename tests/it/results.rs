//! What a run reads of an earlier one instead of computing it: the same rows come of it, whatever happened in between.

use chrono::{DateTime, Duration, Utc};
use cohorte::report::NoProgress;
use cohorte::run::{BuildOptions, Built, build};

use crate::builds::{ON_TOP, TABLES, tables};
use crate::library::{Folder, told};
use crate::nasty::{AS_OF, Dice, MODELS, Rows, sources, warehouse};

pub(crate) async fn anew(folder: &Folder, as_of: &str) -> Built {
    let options = BuildOptions { command: "build".into(), full_refresh: true, ..BuildOptions::default() };
    let built = build(folder.open(as_of).await, &options, &NoProgress).await;
    built.unwrap_or_else(|stopped| panic!("{}", told(&stopped)))
}

/// Is it the name of features, or of a golden record?
fn is_result(name: &str) -> bool {
    name.starts_with("pass_") || name.contains("_golden")
}

/// Features of every kind, through windows of every kind.
const MORE: &str = r#"
traits:
  dearest: {max: purchase.paid, within: 30d}
  cheapest: {min: purchase.paid, within: 2mo}
  least: {min: orders.n}
  latest: {max: orders.ordered_at, within: 90d}
  shops: {count_distinct: purchase.shop, within: 90d}
  all_shops: {count_distinct: orders.shop}
  usual_path: {mode: viewed.path, within: 30d}
  usual_shop_1y: {mode: purchase.shop, within: 1y}
  last_path: {last: viewed.path, within: 20d}
  first_shop: {first: purchase.shop, within: 1y}
  first_of_all: {first: orders.shop}
  greatest_shop: {max: orders.shop, within: 60d}
  mean_price: {avg: orders.price, within: 6w}
  lately: {count: viewed, within: 36h}
  just_now: {count: orders, within: 90min}
  month: {sum: purchase.paid, within: 1mo}
  thirty_days: {sum: purchase.paid, within: 30d}
  lines: {sum: order_lines.amount, within: 1y}
  older: {count: orders, where: "ordered_at < now() - interval '10 days'"}
"#;

/// The features that were computed, rather than read; those that were carried on from what was remembered have a `+`.
pub(crate) fn computed(built: &Built) -> Vec<String> {
    let steps = built.workspace.stage.timings.steps();
    let name = |step: &str| {
        let anew = step.strip_prefix("computing `").map(|name| (name.to_owned(), ""));
        let (name, mark) = anew.or_else(|| Some((step.strip_prefix("carrying on `")?.to_owned(), "+")))?;
        let name = name.trim_end_matches('`');
        is_result(name).then(|| format!("{mark}{name}"))
    };
    let mut names: Vec<String> = steps.iter().filter_map(|step| name(&step.name)).collect();
    names.sort();
    names
}

/// How many histories there are, for those who want more of them than CI does.
fn histories() -> u64 {
    std::env::var("COHORTE_HISTORIES").ok().and_then(|count| count.parse().ok()).unwrap_or(2)
}

/// What may happen between two runs.
struct History {
    dice: Dice,
    /// The files of each source.
    data: Vec<(Rows, Vec<Vec<String>>)>,
    /// Rows that have not come yet, by source.
    later: Vec<Vec<String>>,
    models: String,
    as_of: DateTime<Utc>,
}

impl History {
    fn new(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let (mut data, mut later) = (Vec::new(), Vec::new());
        for mut rows in sources(700 + seed, 12) {
            let kept = rows.rows.len() * 2 / 3 + dice.below(3) as usize;
            later.push(rows.rows.split_off(kept.min(rows.rows.len())));
            let files = vec![std::mem::take(&mut rows.rows)];
            data.push((rows, files));
        }
        let as_of = AS_OF[seed as usize % AS_OF.len()].parse().unwrap();
        Self { dice, data, later, models: ON_TOP.to_owned(), as_of }
    }

    fn at(&self) -> String {
        self.as_of.to_rfc3339()
    }

    /// Lets something happen, and says what.
    fn go_on(&mut self) -> &'static str {
        let step = *self.dice.one(&[
            Duration::zero(),
            Duration::minutes(1),
            Duration::minutes(40),
            Duration::hours(20),
            Duration::days(31),
        ]);
        self.as_of += step;
        match self.dice.below(9) {
            0..3 => {
                // Where nothing at all is new, nothing is built.
                self.as_of += Duration::seconds(1);
                "time"
            }
            3 => {
                let line = format!(
                    "  s_{}: {{when: {{did: viewed, within: {}d}}}}\n",
                    self.dice.below(1 << 30),
                    1 + self.dice.below(40)
                );
                self.models.push_str(&line);
                "a new segment"
            }
            4 => {
                self.models = if self.models.contains("revenue: {sum: purchase.paid}") {
                    self.models.replace("revenue: {sum: purchase.paid}", "revenue: {max: purchase.paid}")
                } else {
                    self.models.replace("revenue: {max: purchase.paid}", "revenue: {sum: purchase.paid}")
                };
                "another trait"
            }
            5 => {
                let place = self.dice.below(self.data.len() as u64) as usize;
                let lost = self.data[place].1.iter_mut().rev().find_map(Vec::pop);
                self.later[place].extend(lost);
                "a row that is gone"
            }
            chance => {
                // Rows come in files of their own, or in those that are there; to all sources, or to some.
                let (are_new, are_all) = (chance > 6 || self.dice.below(4) > 0, self.dice.below(2) == 0);
                for ((_, files), later) in self.data.iter_mut().zip(&mut self.later) {
                    let come = self.dice.below(later.len() as u64 / 2 + 1) as usize;
                    if come == 0 || !(are_all || self.dice.below(3) == 0) {
                        continue;
                    }
                    if are_new {
                        files.push(Vec::new());
                    }
                    files.last_mut().unwrap().extend(later.drain(..come));
                }
                if are_new { "rows in new files" } else { "rows in files that were there" }
            }
        }
    }

    fn write(&self, folder: &Folder) {
        folder.write("models/more.yaml", &self.models);
        folder.write("models/most.yaml", MORE);
        for (rows, files) in &self.data {
            for (number, lines) in files.iter().enumerate() {
                let name = format!("data/{}/{number:02}.csv", rows.name);
                let mut text = format!("{}\n", rows.header);
                lines.iter().for_each(|row| text.push_str(&format!("{row}\n")));
                // A file that stays as it is has no other age.
                if std::fs::read_to_string(folder.path().join(&name)).is_ok_and(|before| before == text) {
                    continue;
                }
                folder.write(&name, &text);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_read_is_what_would_be_computed() {
    let (mut read, mut all, mut carried, mut known) = (0, 0, 0, 0);
    for seed in 0..histories() {
        let mut history = History::new(seed);
        let [straight, again] = [(); 2].map(|()| {
            let folder = Folder::new();
            folder.write("warehouse.yaml", &warehouse(2));
            folder.write("models/base.yaml", MODELS);
            folder
        });
        let mut said = Vec::new();
        for step in 0..6 {
            if step > 0 {
                said.push(history.go_on());
            }
            history.write(&straight);
            history.write(&again);
            let built = straight.build(&history.at()).await;
            anew(&again, &history.at()).await;
            let (found, wanted) = (tables(&straight).await, tables(&again).await);
            for ((found, wanted), sql) in found.iter().zip(&wanted).zip(TABLES) {
                let differs = wanted.iter().zip(found).find(|(wanted, found)| wanted != found);
                assert!(found == wanted, "seed {seed}, after {said:?}, as of {}: {sql}: {differs:#?}", history.at());
            }
            let results = built.tables.iter().filter(|table| is_result(&table.table));
            let (there, new): (Vec<_>, Vec<_>) = results.partition(|table| !table.is_written);
            carried += computed(&built).iter().filter(|name| name.starts_with('+')).count();
            let steps = built.workspace.stage.timings.steps();
            known += steps.iter().filter(|step| step.name.starts_with("knowing the tuples of")).count();
            read += there.len();
            all += there.len() + new.len();
        }
    }
    assert!(read * 20 >= all, "hardly anything was read: {read} of {all} results");
    assert!(carried * 10 >= all, "hardly anything was carried on: {carried} of {all} results");
    assert!(known > 0, "no tuples were known");
    println!("of {all} results {read} were read and {carried} carried on; tuples were known {known} times");
}

pub(crate) const SHOP: &str = r#"
sources:
  crm: {path: crm.csv, key: id, columns: {id: {type: text}, email: {type: email}}}
  orders: {path: orders.csv, key: id, time: at, columns: {email: {type: email}, at: {type: timestamp}, amount: {type: decimal}}}
entities:
  customer:
    identity:
      identifiers: {email: {type: email}}
      sources: {crm: {role: record, ids: {email: email}}, orders: {role: attach, ids: {email: email}}}
    attributes: {name: {from: [crm.name]}}
traits:
  revenue: {sum: orders.amount, within: 30d}
segments:
  buyers: {when: {did: orders}}
"#;

pub(crate) fn shop() -> Folder {
    let folder = Folder::new();
    folder.write("warehouse.yaml", &warehouse(2));
    folder.write("models/shop.yaml", SHOP);
    folder.write("crm.csv", "id,email,name\n1,a@x.fr,Ana\n2,b@x.fr,Bo\n");
    folder.write(
        "orders.csv",
        "id,email,at,amount\n1,a@x.fr,2026-05-01T00:00:00Z,10\n2,b@x.fr,2026-06-01T14:00:00Z,20\n",
    );
    folder
}

#[tokio::test(flavor = "multi_thread")]
async fn features_are_computed_when_something_has_changed_or_happened() {
    let folder = shop();
    let run = async |as_of: &str| computed(&folder.build(as_of).await);
    assert_eq!(run("2026-06-01T10:00:00Z").await, ["customer_golden", "pass_customer_orders"]);
    assert!(run("2026-06-01T12:00:00Z").await.is_empty(), "two hours in which nothing happened");
    assert_eq!(folder.query("select revenue from customer").await, ["0.0", "0.0"]);
    assert_eq!(run("2026-06-01T15:00:00Z").await, ["+pass_customer_orders"], "an order of 14:00");
    assert_eq!(folder.query("select revenue from customer").await, ["0.0", "20.0"]);
    assert!(run("2026-06-01T18:00:00Z").await.is_empty());
    assert_eq!(run("2026-06-02T18:00:00Z").await, ["+pass_customer_orders"], "windows begin a day later");

    // Another segment on the same features; one on others.
    folder.write("models/shop.yaml", &format!("{SHOP}  poor: {{when: \"revenue < 5\"}}\n"));
    assert!(run("2026-06-02T19:00:00Z").await.is_empty());
    assert_eq!(folder.query("select entity_id from segment_members where segment = 'poor'").await.len(), 1);
    folder.write("models/shop.yaml", &format!("{SHOP}  rich: {{when: {{did: orders, within: 3d}}}}\n"));
    assert_eq!(run("2026-06-02T20:00:00Z").await, ["+pass_customer_orders"]);

    folder.write("crm.csv", "id,email,name\n1,a@x.fr,Ana\n2,b@x.fr,Bob\n");
    // Everybody is who they were, so orders are whose they were.
    assert_eq!(run("2026-06-02T21:00:00Z").await, ["+pass_customer_orders", "customer_golden"]);
    assert_eq!(folder.query("select name from customer").await, ["Ana", "Bob"]);
    assert_eq!(computed(&anew(&folder, "2026-06-02T22:00:00Z").await), ["customer_golden", "pass_customer_orders"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_of_some_models_leaves_results_that_fit_all_of_them() {
    let folder = shop();
    folder.build("2026-06-01T10:00:00Z").await;
    folder.write("orders.csv", "id,email,at,amount\n1,a@x.fr,2026-05-30T00:00:00Z,10\n");
    folder.build_some("2026-06-01T10:30:00Z", &["segment:buyers"], &[]).await;
    folder.build("2026-06-01T11:00:00Z").await;
    assert_eq!(folder.query("select revenue from customer").await, ["0.0", "10.0"]);
    assert!(computed(&folder.build("2026-06-01T12:00:00Z").await).is_empty());
}
