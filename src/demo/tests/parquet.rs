//! The Parquet form: what the text form says, cell by cell; the same bytes from any number of threads; as many events as
//! were asked for.

use chrono::DateTime;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use datafusion::parquet::file::reader::{FileReader, SerializedFileReader};

use super::*;
use crate::demo::parts::Cut;
use crate::demo::rows::Source;

type Cells = BTreeMap<String, String>;

fn make(options: &Options) -> (tempfile::TempDir, Summary) {
    let dir = tempfile::tempdir().unwrap();
    let summary = write(dir.path(), options, &mut |_| {}).unwrap();
    (dir, summary)
}

/// The same world in small parts, made by so many threads.
fn cut(dir: &Path, options: &Options, threads: usize) -> Result<Vec<FileSummary>> {
    let scene = Scene::set(options).unwrap();
    let cut = Cut { customers: options.customers, people_per_part: 300, people_per_shard: 100, threads };
    let mut heard = Vec::new();
    let written = parts::write(dir, &scene, &cut, &mut |done| heard.push(done));
    assert!(heard.is_sorted(), "{heard:?}");
    assert!(written.is_err() || heard.last() == Some(&options.customers), "{heard:?}");
    written
}

/// Files of a folder in the order of their names, or the one file.
fn parts_of(path: &Path) -> Vec<PathBuf> {
    if path.is_file() {
        return vec![path.to_owned()];
    }
    let mut found: Vec<_> = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect();
    found.sort();
    found
}

fn cells(batch: &RecordBatch) -> Vec<Cells> {
    let options = FormatOptions::new().with_timestamp_tz_format(Some("%Y-%m-%dT%H:%M:%SZ"));
    let columns: Vec<_> = batch
        .schema_ref()
        .fields()
        .iter()
        .zip(batch.columns())
        .map(|(field, array)| (field.name().clone(), ArrayFormatter::try_new(array, &options).unwrap()))
        .collect();
    let row = |row| columns.iter().map(|(name, column)| (name.clone(), column.value(row).to_string())).collect();
    (0..batch.num_rows()).map(row).collect()
}

fn parquet_rows(path: &Path) -> Vec<Cells> {
    let read = |path: PathBuf| {
        let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap().build().unwrap();
        reader.flat_map(|batch| cells(&batch.unwrap()))
    };
    parts_of(path).into_iter().flat_map(read).collect()
}

/// Rows of NDJSON with groups laid flat and nulls as empty text.
fn json_rows(path: &Path) -> Vec<Cells> {
    fn lay(value: &serde_json::Value, cells: &mut Cells) {
        for (name, value) in value.as_object().unwrap() {
            match value {
                serde_json::Value::Object(_) => lay(value, cells),
                serde_json::Value::Null => drop(cells.insert(name.clone(), String::new())),
                serde_json::Value::String(text) => drop(cells.insert(name.clone(), text.clone())),
                other => drop(cells.insert(name.clone(), other.to_string())),
            }
        }
    }
    let mut rows = Vec::new();
    for line in parts_of(path).iter().flat_map(|path| text(path).lines().map(str::to_owned).collect::<Vec<_>>()) {
        let mut cells = Cells::new();
        lay(&serde_json::from_str(&line).unwrap(), &mut cells);
        rows.push(cells);
    }
    rows
}

/// What a clock in Paris shows, where the text form shows that.
fn as_in_paris(mut cells: Cells) -> Cells {
    for name in ["optin_at", "created_at", "modified_at"] {
        let cell = cells.get_mut(name).unwrap();
        if let Ok(time) = DateTime::parse_from_rfc3339(cell) {
            *cell = clock::local(time.timestamp());
        }
    }
    cells
}

#[test]
fn parquet_says_what_text_says() {
    let options = Options { customers: 1000, events: Some(12_000), ..Options::default() };
    let (text, told) = make(&options);
    let (parquet, also_told) = make(&Options { format: Format::Parquet, ..options });
    let counts = |summary: &Summary| summary.files.iter().map(|file| file.rows).collect::<Vec<_>>();
    let (mut counted, mut also_counted) = (counts(&told), counts(&also_told));
    counted.sort_unstable();
    also_counted.sort_unstable();
    assert_eq!(counted, also_counted);
    assert_eq!(told.rows(), also_told.rows());
    for (source, form) in [
        ("crm_contacts", "crm_contacts.csv"),
        ("web_accounts", "web_accounts.csv"),
        ("web_events", "web_events"),
        ("orders", "orders.csv.gz"),
        ("order_lines", "order_lines.csv.gz"),
        ("loyalty_cards", "loyalty_cards.csv"),
        ("email_events", "email_events"),
        ("support_tickets", "support_tickets.ndjson"),
        ("preference_centre", "preference_centre.csv"),
        ("staff", "staff.csv"),
        ("truth/records", "truth/records.csv.gz"),
        ("truth/people", "truth/people.csv.gz"),
        ("tickets", "tickets.parquet"),
        ("products.parquet", "products.csv"),
    ] {
        let mut wanted = match form {
            form if form.contains(".csv") => rows(&text.path().join(form)),
            form if form.ends_with(".parquet") => parquet_rows(&text.path().join(form)),
            form => json_rows(&text.path().join(form)),
        };
        let mut found = parquet_rows(&parquet.path().join(source));
        if source == "crm_contacts" {
            found = found.into_iter().map(as_in_paris).collect();
        }
        if source == "web_events" {
            // Ordered by time, ties by id; what an event does not have is an empty cell.
            let order = |row: &Cells| (row["occurred_at"].clone(), row["event_id"].parse::<u64>().unwrap());
            assert!(found.iter().map(order).is_sorted());
            wanted.sort_by_key(order);
            found.iter_mut().zip(&wanted).for_each(|(found, wanted)| {
                found.retain(|name, cell| !cell.is_empty() || wanted.contains_key(name));
            });
        }
        assert!(!found.is_empty() || source == "staff", "{source}");
        assert_eq!(found.len(), wanted.len(), "{source}");
        for (found, wanted) in found.iter().zip(&wanted) {
            assert_eq!(found, wanted, "{source}");
        }
    }
}

#[test]
fn the_number_of_threads_does_not_matter() {
    let options = Options { customers: 1250, seed: 3, events: Some(10_000), ..Options::default() };
    let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let one = cut(dirs[0].path(), &options, 1).unwrap();
    let many = cut(dirs[1].path(), &options, 5).unwrap();
    assert_eq!(one, many);
    assert!(files(dirs[0].path()) == files(dirs[1].path()));
    let part = |number| dirs[0].path().join(format!("web_events/part-{number:05}.parquet"));
    assert!(part(4).exists() && !part(5).exists());
    // Each shard is a group of rows.
    let groups = |number| SerializedFileReader::new(File::open(part(number)).unwrap()).unwrap().num_row_groups();
    assert_eq!((groups(0), groups(4)), (3, 1));
    // A smaller world leaves no rest of the larger one.
    cut(dirs[0].path(), &Options { customers: 0, ..options }, 2).unwrap();
    assert!(part(0).exists() && !part(1).exists());
    assert!(parquet_rows(&dirs[0].path().join("web_events")).is_empty());
}

#[test]
fn as_many_events_as_were_asked_for() {
    let n_events = |options: &Options| {
        let scene = Scene::set(options).unwrap();
        let (mut events, mut nowhere) = (Vec::new(), Nowhere);
        (0..options.customers).for_each(|number| scene.person(number, &mut events, &mut nowhere));
        events.len() as f64
    };
    let usual = Options { customers: 4000, ..Options::default() };
    for per_person in [1, 3, 10, 100] {
        let wanted = per_person * usual.customers;
        let made = n_events(&Options { events: Some(wanted), ..usual });
        assert!((made / wanted as f64 - 1.0).abs() < 0.1, "{made} events instead of {wanted}");
    }
    assert!(n_events(&Options { events: Some(0), ..usual }) < 1.0);
    let usual_in_numbers = Options { events: Some(3 * usual.customers), ..usual };
    assert!((n_events(&usual) / n_events(&usual_in_numbers) - 1.0).abs() < 0.1);
    // More than a person's events that fit in memory are not made.
    let most = n_events(&Options { customers: 20, events: Some(u64::MAX), ..usual });
    assert!(most < 1_000_000.0, "{most} events");
}

/// Rows that nobody needs.
struct Nowhere;

impl Output for Nowhere {
    fn put<R: rows::Row>(&mut self, _: &R) {}
}

#[test]
fn many_events_have_ids_and_carts_of_their_own() {
    // At a thousand events a person, some make more than there are numbers for usually.
    for (customers, per_person) in [(300, 100), (80, 1000)] {
        let events = Some(customers * per_person);
        let (dir, _) = make(&Options { customers, events, format: Format::Parquet, ..Options::default() });
        let events = parquet_rows(&dir.path().join("web_events"));
        let ids: BTreeSet<_> = events.iter().map(|event| event["event_id"].parse::<u64>().unwrap()).collect();
        assert_eq!(ids.len(), events.len());
        // A cart is filled on one device, in one visit.
        let mut carts: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for event in events.iter().filter(|event| !event["cart_id"].is_empty()) {
            carts.entry(&event["cart_id"]).or_default().insert(&event["anonymous_id"]);
        }
        assert!(carts.len() > 500 && carts.values().all(|devices| devices.len() == 1));
    }
}

#[test]
fn the_truth_has_the_tuples_of_all_events() {
    let options = Options { customers: 600, events: Some(12_000), format: Format::Parquet, ..Options::default() };
    let (dir, _) = make(&options);
    let mut truth = BTreeMap::new();
    for row in parquet_rows(&dir.path().join("truth/records")) {
        let before = truth.insert((row["source"].clone(), row["record_key"].clone()), row["person_id"].clone());
        assert!(before.is_none(), "{row:?} is there twice");
    }
    let text = |cell: &String| (!cell.is_empty()).then(|| cell.clone());
    let mut unknown = 0;
    for event in parquet_rows(&dir.path().join("web_events")) {
        let user = text(&event["user_id"]);
        let key = ids::tuple_key(&[Some(&event["anonymous_id"]), user.as_deref()]);
        let known = truth.get(&("web_events".to_owned(), key));
        // Who logged in is known, who did not may share the device.
        assert!(known.is_some() || user.is_none(), "{event:?}");
        unknown += usize::from(known.is_none());
    }
    assert!(unknown > 0, "some devices are shared");
    for source in [Source::Contacts, Source::Accounts] {
        assert!(truth.keys().any(|(name, _)| name == source.name()));
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_w901_whichever_thread_meets_it() {
    let options = Options { customers: 1500, ..Options::default() };
    for threads in [1, 4] {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("orders")).unwrap();
        std::os::unix::fs::symlink("/dev/full", dir.path().join("orders/part-00002.parquet")).unwrap();
        let failure = cut(dir.path(), &options, threads).unwrap_err();
        assert_eq!(failure.code, "W901");
        assert!(failure.doing.contains("orders/part-00002.parquet"), "{failure}");
    }
}
