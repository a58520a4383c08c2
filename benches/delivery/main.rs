//! How fast rows are delivered, and how much memory that takes: `cargo bench --bench delivery [-- ROWS]`.
//!
//! Rows go through the connector `webhook`, five hundred to a request, four requests at once, by the syncer as `cohorte sync` runs it:
//! compared, gated, journaled, sent, folded, with receipts, all of it in Delta tables. Its peer is a bare loop around `reqwest` that writes
//! and sends the same bodies, as many at once, and keeps no books. Both send to a process that reads, counts and answers.
//!
//! Then the difference of a sync: five times as many rows desired as delivered, one in a hundred of them changed.
//!
//! Every figure is of a process of its own, so that its greatest memory is its own. With `STEPS=1` what each step took is told, too.

mod sink;
mod sync;

use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use cohorte::engine::Timings;

/// As in the executable.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Rows of a request, and requests at once: those of the connector `webhook`.
const BATCH: u64 = 500;
const AT_ONCE: usize = 4;

fn main() {
    // Cargo itself says `--bench`.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let number = |text: &str| text.parse().expect("a number of rows");
    match words.as_slice() {
        ["sink", latency] => sink::serve(number(latency)),
        ["bare", url, rows] => told(&bare(url, number(rows))),
        ["sync", url, rows, folder] => told(&run(sync::deliver(Path::new(folder), url, number(rows)))),
        ["baseline", rows, folder] => told(&run(sync::baseline(Path::new(folder), number(rows)))),
        ["difference", rows, folder] => told(&run(sync::difference(Path::new(folder), number(rows)))),
        [] => compare(1_000_000),
        [rows] => compare(number(rows)),
        other => panic!("no such benchmark: {other:?}"),
    }
}

/// What one part took.
struct Figures {
    rows: u64,
    seconds: f64,
}

/// Written by the process that did the part, read by the one that compares.
fn told(figures: &Figures) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).map_or("0", |line| line.trim());
    say(&format!("{} {} {}", figures.rows, figures.seconds, peak.split(' ').next().unwrap_or("0")));
}

/// What each step of a sync took, where that is wanted.
#[expect(clippy::print_stderr, reason = "a benchmark prints")]
fn steps(timings: &Timings) {
    if std::env::var_os("STEPS").is_some() {
        for step in timings.steps() {
            let (rows, spilled) = (step.rows.unwrap_or(0), step.bytes_spilled >> 20);
            eprintln!("  {:>7.2} s {rows:>9} rows {spilled:>5} MiB spilled  {}", step.took.as_secs_f64(), step.name);
        }
    }
}

#[expect(clippy::print_stdout, reason = "a benchmark prints")]
fn say(line: &str) {
    println!("{line}");
}

fn run<T>(part: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(part)
}

fn compare(rows: u64) {
    say(&format!("{:<34} {:>10} {:>9} {:>11} {:>9}", "", "rows", "seconds", "rows/s", "peak MiB"));
    // As fast as this machine can answer itself; then as an API across a network does.
    for latency in ["0", "20"] {
        let bare = with_sink(latency, rows, |url| part("bare", &[url, &rows.to_string()]));
        line(&format!("bare loop, answers after {latency} ms"), &bare);
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().display().to_string();
        let sync = with_sink(latency, rows, |url| part("sync", &[url, &rows.to_string(), &folder]));
        line(&format!("cohorte, answers after {latency} ms"), &sync);
        say(&format!("{:<34} {:>10.0} %", "  of the bare loop", 100.0 * bare.0.seconds / sync.0.seconds));
    }
    let (folder, many) = (tempfile::tempdir().unwrap(), (5 * rows).to_string());
    let folder = folder.path().display().to_string();
    line("baseline", &part("baseline", &[&many, &folder]));
    line("difference, 1 % changed", &part("difference", &[&many, &folder]));
}

fn line(name: &str, (figures, peak): &(Figures, u64)) {
    let Figures { rows, seconds } = figures;
    say(&format!("{name:<34} {rows:>10} {seconds:>9.2} {:>11.0} {:>9}", *rows as f64 / seconds, peak / 1024));
}

fn this() -> Command {
    Command::new(std::env::current_exe().unwrap())
}

/// Runs a part in a process of its own: what it took, and its greatest memory in KiB.
fn part(name: &str, arguments: &[&str]) -> (Figures, u64) {
    let output = this().arg(name).args(arguments).stderr(Stdio::inherit()).output().unwrap();
    assert!(output.status.success(), "{name} failed");
    let text = String::from_utf8(output.stdout).unwrap();
    let words: Vec<&str> = text.lines().last().unwrap_or_default().split(' ').collect();
    let [rows, seconds, peak] = words[..] else { panic!("{name} told {text}") };
    (Figures { rows: rows.parse().unwrap(), seconds: seconds.parse().unwrap() }, peak.parse().unwrap())
}

/// A part that sends to a sink, which must have got every row.
fn with_sink<T>(latency: &str, rows: u64, part: impl FnOnce(&str) -> T) -> T {
    let mut sink: Child = this().args(["sink", latency]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(sink.stdout.take().unwrap()).lines();
    let result = part(&lines.next().unwrap().unwrap());
    // It ends with what it is listened to.
    drop(sink.stdin.take());
    let got: u64 = lines.next().unwrap().unwrap().parse().unwrap();
    sink.wait().unwrap();
    assert_eq!(got, rows, "rows that arrived");
    result
}

/// The loop that anybody would write.
fn bare(url: &str, rows: u64) -> Figures {
    let started = Instant::now();
    run(async {
        let client = reqwest::Client::new();
        let next = Arc::new(AtomicU64::new(0));
        let mut senders = tokio::task::JoinSet::new();
        for _ in 0..AT_ONCE {
            let (client, next, url) = (client.clone(), Arc::clone(&next), url.to_owned());
            senders.spawn(async move {
                loop {
                    let first = next.fetch_add(BATCH, Ordering::Relaxed);
                    if first >= rows {
                        return;
                    }
                    let body = body(first, rows.min(first + BATCH));
                    let request = client.post(&url).header("content-type", "application/json").body(body);
                    assert!(request.send().await.unwrap().status().is_success());
                }
            });
        }
        senders.join_all().await;
    });
    Figures { rows, seconds: started.elapsed().as_secs_f64() }
}

fn body(first: u64, end: u64) -> String {
    let mut text = String::from("{\"operation\":\"put\",\"rows\":[");
    for n in first..end {
        let comma = if n == first { "" } else { "," };
        let (id, email, name, city, spent) = sync::customer(n);
        write!(
            text,
            "{comma}{{\"key\":{{\"customer_id\":\"{id}\"}},\"fields\":{{\"email\":\"{email}\",\"name\":\"{name}\",\"city\":\"{city}\",\"spent\":{spent}}}}}"
        )
        .unwrap();
    }
    text + "]}"
}
