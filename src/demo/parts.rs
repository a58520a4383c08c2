//! The demonstration as Parquet: every source in parts of as many people, made by as many threads as there are cores. A
//! thread makes whole parts, shard by shard; what is in a part does not depend on who made it.

use std::ops::Range;
use std::panic::resume_unwind;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread;

use super::columns::Table;
use super::rows::{Output, Row, Source};
use super::web::Event;
use super::{FileSummary, Scene, make_folder, ranges, remove_parts};
use crate::diag::Result;

/// The products are no part of people.
const PRODUCTS: &str = "products.parquet";
/// Shards of a part.
const SHARDS: u64 = 10;
/// Rows that become Arrow columns at once.
const BATCH: usize = 1 << 16;

/// How people are cut into parts, and parts into shards: each a group of web events, ordered by time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cut {
    pub(crate) customers: u64,
    pub(crate) people_per_part: u64,
    pub(crate) people_per_shard: u64,
    pub(crate) threads: usize,
}

impl Cut {
    pub(crate) fn of(scene: &Scene, customers: u64) -> Self {
        let people_per_shard = scene.volume.people_per_shard;
        let threads = thread::available_parallelism().map_or(1, usize::from);
        Self { customers, people_per_part: SHARDS * people_per_shard, people_per_shard, threads }
    }

    /// The people of a part, where there is one of that number.
    fn part(&self, number: u64) -> Option<Range<u64>> {
        ranges(0..self.customers, self.people_per_part).nth(usize::try_from(number).ok()?)
    }
}

/// Writes all parts, and the products. `progress` hears the number of people done so far.
pub(crate) fn write(dir: &Path, scene: &Scene, cut: &Cut, progress: &mut dyn FnMut(u64)) -> Result<Vec<FileSummary>> {
    for &source in Source::ALL.iter().filter(|&&source| source != Source::Products) {
        make_folder(&dir.join(source.name()))?;
        remove_parts(dir, &pattern(source))?;
    }
    let mut products = Tables(vec![Table::create(dir.join(PRODUCTS), Source::Products)?]);
    scene.catalogue(&mut products);
    let mut rows = products.close()?;

    let job = &Job { dir, scene, cut, next: AtomicU64::new(0), is_over: AtomicBool::new(false) };
    let (told, heard) = channel();
    thread::scope(|scope| -> Result<()> {
        let workers: Vec<_> = (0..cut.threads.max(1))
            .map(|_| {
                let told = told.clone();
                scope.spawn(move || job.work(&told))
            })
            .collect();
        // Once the workers' ends are gone, all is heard.
        drop(told);
        let mut done = 0;
        for people in heard {
            done += people;
            progress(done);
        }
        for worker in workers {
            rows.add(&worker.join().unwrap_or_else(|panic| resume_unwind(panic))?);
        }
        Ok(())
    })?;
    let path =
        |source| if source == Source::Products { PRODUCTS.to_owned() } else { pattern(source).replace("{}", "*") };
    Ok(Source::ALL.iter().zip(rows.0).map(|(&source, rows)| FileSummary { path: path(source), rows }).collect())
}

fn pattern(source: Source) -> String {
    format!("{}/part-{{}}.parquet", source.name())
}

/// Rows that were written, by source.
#[derive(Default)]
struct Rows([u64; Source::ALL.len()]);

impl Rows {
    fn add(&mut self, other: &Self) {
        self.0.iter_mut().zip(other.0).for_each(|(sum, rows)| *sum += rows);
    }
}

/// What the workers share.
struct Job<'s> {
    dir: &'s Path,
    scene: &'s Scene,
    cut: &'s Cut,
    /// Number of the next part.
    next: AtomicU64,
    /// Did somebody fail?
    is_over: AtomicBool,
}

impl<'s> Job<'s> {
    /// Makes parts until there are none left, or somebody failed.
    fn work(&self, told: &Sender<u64>) -> Result<Rows> {
        let mut rows = Rows::default();
        let mut events = Vec::new();
        while !self.is_over.load(Ordering::Relaxed) {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            let Some(people) = self.cut.part(number) else { break };
            match self.part(number, people, &mut events, told) {
                Ok(written) => rows.add(&written),
                Err(failure) => {
                    self.is_over.store(true, Ordering::Relaxed);
                    return Err(failure);
                }
            }
        }
        Ok(rows)
    }

    /// Makes one part. `events` is memory to be used again.
    fn part(&self, number: u64, people: Range<u64>, events: &mut Vec<Event<'s>>, told: &Sender<u64>) -> Result<Rows> {
        let mut tables = Tables::of_part(self.dir, number)?;
        for shard in ranges(people, self.cut.people_per_shard) {
            if self.is_over.load(Ordering::Relaxed) {
                break;
            }
            for number in shard.clone() {
                self.scene.person(number, events, &mut tables);
            }
            events.sort_unstable_by_key(Event::order);
            for batch in events.chunks(BATCH) {
                for event in batch {
                    event.write(self.scene.seed, &mut tables);
                }
                tables.write()?;
            }
            events.clear();
            tables.end_group(Source::WebEvents)?;
            // Whoever started the threads listens until the last one is done.
            let _ = told.send(shard.end - shard.start);
        }
        tables.close()
    }
}

/// The files that are being written.
struct Tables(Vec<Table>);

impl Tables {
    /// One file for every source that is made of people.
    fn of_part(dir: &Path, number: u64) -> Result<Self> {
        let of_people = Source::ALL.iter().filter(|&&source| source != Source::Products);
        let path = |source| dir.join(pattern(source).replace("{}", &format!("{number:05}")));
        of_people.map(|&source| Table::create(path(source), source)).collect::<Result<_>>().map(Self)
    }

    fn write(&mut self) -> Result<()> {
        self.0.iter_mut().try_for_each(Table::write)
    }

    fn end_group(&mut self, source: Source) -> Result<()> {
        self.0.iter_mut().filter(|table| table.source == source).try_for_each(Table::end_group)
    }

    fn close(self) -> Result<Rows> {
        let mut rows = Rows::default();
        for table in self.0 {
            let source = table.source as usize;
            rows.0[source] = table.close()?;
        }
        Ok(rows)
    }
}

impl Output for Tables {
    fn put<R: Row>(&mut self, row: &R) {
        if let Some(table) = self.0.iter_mut().find(|table| table.source == R::SOURCE) {
            table.put(row);
        }
    }
}
