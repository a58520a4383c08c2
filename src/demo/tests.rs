//! The demonstration as a whole: the same bytes, the same people whatever their number, a truth without holes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;

use super::*;

mod parquet;

fn generate(customers: u64, seed: u64) -> (tempfile::TempDir, Summary) {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { customers, seed, ..Options::default() };
    let summary = write(dir.path(), &options, &mut |_| {}).unwrap();
    (dir, summary)
}

fn files(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.insert(path.strip_prefix(dir).unwrap().to_owned(), fs::read(&path).unwrap());
            }
        }
    }
    found
}

fn text(path: &Path) -> String {
    let mut text = String::new();
    let file = File::open(path).unwrap();
    if path.extension().is_some_and(|extension| extension == "gz") {
        GzDecoder::new(file).read_to_string(&mut text).unwrap();
    } else {
        BufReader::new(file).read_to_string(&mut text).unwrap();
    }
    text
}

/// The columns of a CSV file, one map per row.
fn rows(path: &Path) -> Vec<BTreeMap<String, String>> {
    let text = text(path);
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    reader.deserialize().map(Result::unwrap).collect()
}

fn people(dir: &Path) -> Vec<BTreeMap<String, String>> {
    rows(&dir.join("truth/people.csv.gz"))
}

#[test]
fn the_same_seed_writes_the_same_bytes() {
    let (one, _) = generate(700, 3);
    let (two, _) = generate(700, 3);
    let (other, _) = generate(700, 4);
    assert!(files(one.path()) == files(two.path()));
    let (one, other) = (files(one.path()), files(other.path()));
    let same: Vec<_> = one.iter().filter(|(path, bytes)| other[*path] == **bytes).map(|(path, _)| path).collect();
    assert_eq!(same, [Path::new("products.csv")]);
}

#[test]
fn people_are_the_same_in_a_larger_world() {
    let (small, _) = generate(500, 3);
    let (large, _) = generate(1200, 3);
    assert_eq!(people(small.path()), people(large.path())[..500]);
    // Not only the people: their records too, as the beginning of the larger files.
    for file in ["crm_contacts.csv", "web_accounts.csv", "loyalty_cards.csv", "orders.csv.gz", "order_lines.csv.gz"] {
        assert!(text(&large.path().join(file)).starts_with(&text(&small.path().join(file))), "{file}");
    }
}

#[test]
fn another_end_moves_the_history_and_not_the_people() {
    let dir = tempfile::tempdir().unwrap();
    let as_of = "2025-03-10T12:00:00Z".parse().unwrap();
    let options = Options { customers: 300, seed: 3, as_of, ..Options::default() };
    write(dir.path(), &options, &mut |_| {}).unwrap();
    let (usual, _) = generate(300, 3);
    assert_eq!(people(dir.path()), people(usual.path()));
    let last = rows(&dir.path().join("orders.csv.gz")).into_iter().map(|row| row["ordered_at"].clone()).max().unwrap();
    assert!(last.as_str() < "2025-03-10T12:00:00Z" && last.as_str() > "2025-01", "{last}");
}

#[test]
fn the_truth_covers_every_record() {
    let (dir, _) = generate(1500, 5);
    let mut truth = BTreeMap::new();
    for row in rows(&dir.path().join("truth/records.csv.gz")) {
        let key = (row["source"].clone(), row["record_key"].clone());
        let before = truth.insert(key, row["person_id"].clone());
        assert!(before.is_none(), "{row:?} is there twice");
    }
    let known: BTreeSet<String> = people(dir.path()).into_iter().map(|row| row["person_id"].clone()).collect();
    assert!(truth.values().all(|person| person.is_empty() || known.contains(person)));
    for (source, key) in [("crm_contacts", "contact_id"), ("web_accounts", "id")] {
        let found = rows(&dir.path().join(format!("{source}.csv")));
        assert!(found.len() > 500);
        for row in found {
            let person = &truth[&(source.to_owned(), row[key].clone())];
            assert_eq!(person.is_empty(), row.get("is_test").is_some_and(|is_test| is_test == "true"));
        }
    }
    let cards = truth.keys().filter(|(source, _)| source == "loyalty_cards").count();
    assert_eq!(cards, rows(&dir.path().join("loyalty_cards.csv")).len());
    let tuples = |source: &str| truth.keys().filter(|(name, _)| name == source).count();
    assert!(tuples("web_events") > 500 && tuples("orders") > 200);
}

#[test]
fn totals_are_the_sums_of_their_lines() {
    let (dir, _) = generate(800, 5);
    let cents = |text: &str| text.replace('.', "").parse::<i64>().unwrap();
    let mut sums: BTreeMap<String, i64> = BTreeMap::new();
    for line in rows(&dir.path().join("order_lines.csv.gz")) {
        *sums.entry(line["order_id"].clone()).or_default() += cents(&line["unit_price"]) * cents(&line["quantity"]);
    }
    let orders = rows(&dir.path().join("orders.csv.gz"));
    assert_eq!(orders.len(), sums.len());
    for order in orders {
        assert_eq!(cents(&order["total"]), sums[&order["order_id"]]);
    }
}

#[test]
fn visits_begin_anonymous_and_some_devices_have_two_accounts() {
    let (dir, _) = generate(2500, 5);
    let file = File::open(dir.path().join("web_events/part-00000.ndjson.gz")).unwrap();
    let mut accounts: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut ids = BTreeSet::new();
    for line in BufReader::new(GzDecoder::new(file)).lines() {
        let event: serde_json::Value = serde_json::from_str(&line.unwrap()).unwrap();
        assert!(ids.insert(event["event_id"].as_str().unwrap().to_owned()), "event ids are unique");
        let devices = accounts.entry(event["anonymous_id"].as_str().unwrap().to_owned()).or_default();
        devices.extend(event["user_id"].as_str().map(str::to_owned));
    }
    assert!(accounts.values().filter(|users| users.is_empty()).count() > 100, "some never log in");
    assert!(accounts.values().filter(|users| users.len() == 1).count() > 100, "some log in");
    assert!(accounts.values().any(|users| users.len() > 1), "some devices are shared");
}

#[test]
fn records_are_dirty() {
    let (dir, _) = generate(2000, 5);
    let contacts = rows(&dir.path().join("crm_contacts.csv"));
    let having = |test: &dyn Fn(&BTreeMap<String, String>) -> bool| contacts.iter().filter(|row| test(row)).count();
    assert!(having(&|row| row["email"] == "noreply@maison.example") > 0);
    assert!(having(&|row| row["email"] == "caisse@maison.example") > 3, "junk that no rule names");
    assert!(having(&|row| !row["email"].is_empty() && !row["email"].contains('@')) > 3);
    assert!(having(&|row| row["tel_mobile"] == "0600000000") > 5);
    assert!(having(&|row| row["is_test"] == "true") == 8);
    assert!(having(&|row| row["birth_date"].is_empty()) > 100);
}

#[test]
fn the_committed_sources_are_up_to_date_and_small() {
    let (dir, summary) = generate(10_000, 1);
    let (made, committed) = (files(dir.path()), files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("data")));
    assert!(made.keys().eq(committed.keys()), "the same files");
    let stale: Vec<_> = made.iter().filter(|(path, bytes)| committed[*path] != **bytes).map(|(path, _)| path).collect();
    assert!(stale.is_empty(), "{stale:?} differ: run `cohorte demo data --customers 10000 --seed 1`");
    let bytes: usize = made.values().map(Vec::len).sum();
    assert!(bytes < 5_000_000, "{bytes} bytes for 10,000 people");
    assert!(summary.rows() > 100_000, "{} rows", summary.rows());
}

#[test]
fn an_empty_world_and_a_smaller_one_leave_no_rest() {
    let (dir, _) = generate(3000, 1);
    assert!(dir.path().join("web_events/part-00001.ndjson.gz").exists());
    let options = Options { customers: 0, ..Options::default() };
    let summary = write(dir.path(), &options, &mut |_| {}).unwrap();
    assert_eq!(summary.rows(), 240, "products alone");
    assert!(!dir.path().join("web_events/part-00001.ndjson.gz").exists());
    assert_eq!(rows(&dir.path().join("crm_contacts.csv")).len(), 0);
}

#[test]
fn a_folder_that_cannot_be_made_is_w901() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let failure = write(&file.join("below"), &Options::default(), &mut |_| {}).unwrap_err();
    assert_eq!(failure.code, "W901");
}
