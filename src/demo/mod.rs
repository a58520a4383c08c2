//! The demonstration: a French retailer called Maison, its sources as sources really are, and the truth about who is who.
//!
//! Every person is made alone, from streams of chance seeded by (seed, topic, person number): any number of people, in
//! any order, in bounded memory, the same bytes every time. Households, shared telephones and shared devices are
//! functions of the person's number too. So parts of the Parquet form are made by as many threads as there are cores.
//!
//! Memory: per thread one shard of events (numbers, sorted by time) and one group of rows of every Parquet file; none of it
//! grows with the number of people or of events.
//!
//! `truth/records` names the person behind every row of `crm_contacts` and `web_accounts` (test rows have none) and
//! behind every distinct tuple of identifiers of `loyalty_cards` (`card_no`, `contact_id`, `email`, `phone`), `orders`
//! (`customer_ref`, `email`) and `web_events` (`anonymous_id`, `user_id`), as JSON arrays of normalised values. Tuples that several
//! people share, such as a family tablet on which nobody logged in, are left out: nobody could know.

mod catalogue;
mod cells;
mod clock;
mod columns;
mod dice;
mod dirt;
mod files;
mod ids;
mod messages;
mod parts;
mod person;
mod presence;
mod purchases;
mod reference;
mod rows;
mod text;
mod volume;
mod web;

use std::fs;
use std::ops::Range;
use std::path::Path;

use chrono::{DateTime, Utc};

use self::catalogue::Product;
use self::cells::Cents;
use self::clock::Clock;
use self::files::Files;
use self::parts::Cut;
use self::person::Person;
use self::presence::Presence;
use self::reference::Reference;
use self::rows::{Output, PersonRow, ProductRow};
use self::volume::Volume;
use self::web::Event;
use crate::diag::{Failure, Result};

/// The end of the history, where none is given: 2026-11-01T00:00:00Z.
const AS_OF: i64 = 1_793_491_200;
/// People whose rows are text in memory at the same time. Divides every number of people per part.
const BLOCK: u64 = 500;

/// How the sources are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// As exports come: CSV and NDJSON, plain or gzip, and tickets as Parquet.
    #[default]
    Text,
    /// Every source a folder of Parquet files, typed: for much data.
    Parquet,
}

/// What to generate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// How many real people there are; nine in ten of them become known.
    pub customers: u64,
    /// About how many web events there are in all, at most 10,000 a person; none = about three a person.
    pub events: Option<u64>,
    /// How the sources are written.
    pub format: Format,
    /// Another seed, another world.
    pub seed: u64,
    /// The end of the history: nothing happens after it.
    pub as_of: DateTime<Utc>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            customers: 10_000,
            events: None,
            format: Format::default(),
            seed: 1,
            as_of: DateTime::from_timestamp(AS_OF, 0).unwrap_or_default(),
        }
    }
}

/// One file, or the files of one pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileSummary {
    /// Path below the folder, with `*` for the number of the part.
    pub path: String,
    /// How many rows are in it.
    pub rows: u64,
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// How many people there are.
    pub people: u64,
    /// The files.
    pub files: Vec<FileSummary>,
}

impl Summary {
    /// Rows of all sources; the truth does not count.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.files.iter().filter(|file| !file.path.starts_with("truth/")).map(|file| file.rows).sum()
    }
}

/// What every person is made with.
struct Scene {
    seed: u64,
    clock: Clock,
    volume: Volume,
    reference: Reference,
    products: Vec<Product>,
}

impl Scene {
    fn set(options: &Options) -> Result<Self> {
        Ok(Self {
            seed: options.seed,
            clock: Clock { as_of: options.as_of.timestamp() },
            volume: Volume::of(options),
            reference: Reference::unpack()?,
            products: catalogue::products(),
        })
    }

    /// Writes all of a person but what was done on the site: that is added to `events`.
    fn person<'s>(&'s self, number: u64, events: &mut Vec<Event<'s>>, output: &mut impl Output) {
        let person = Person::new(self.seed, &self.reference, number);
        output.put(&PersonRow {
            person_id: &person.truth_id(),
            household_id: &format!("H{:07}", person.household.id),
            first_name: &person.first_name,
            last_name: &person.last_name,
            birth_date: person.birth,
            persona: person.persona.name(),
        });
        let presence = Presence::write(self, &person, output);
        let checkouts = purchases::write(self, &person, &presence, output);
        web::make(self, &person, &presence, &checkouts, events, output);
        messages::write(self, &person, &presence, output);
    }

    fn catalogue(&self, output: &mut impl Output) {
        for product in &self.products {
            output.put(&ProductRow {
                sku: &product.sku,
                name: &product.name,
                category: product.category,
                brand: product.brand,
                price: Cents(product.cents),
            });
        }
    }
}

/// Writes the sources of Maison, and `truth/`, into `dir`. `progress` hears the number of people done so far.
pub fn write(dir: &Path, options: &Options, progress: &mut dyn FnMut(u64)) -> Result<Summary> {
    let scene = Scene::set(options)?;
    let files = match options.format {
        Format::Text => write_text(dir, &scene, options.customers, progress)?,
        Format::Parquet => parts::write(dir, &scene, &Cut::of(&scene, options.customers), progress)?,
    };
    Ok(Summary { people: options.customers, files })
}

fn write_text(dir: &Path, scene: &Scene, customers: u64, progress: &mut dyn FnMut(u64)) -> Result<Vec<FileSummary>> {
    let mut files = Files::create(dir)?;
    scene.catalogue(&mut files);
    let mut events = Vec::new();
    let people = BLOCK.min(scene.volume.people_per_shard);
    for shard in ranges(0..customers, BLOCK).flat_map(|block| ranges(block, people)) {
        for number in shard.clone() {
            scene.person(number, &mut events, &mut files);
        }
        for event in events.drain(..) {
            event.write(scene.seed, &mut files);
        }
        files.write(shard.start)?;
        progress(shard.end);
    }
    files.finish()
}

/// A range in pieces; at least one, so that a world without people has files all the same.
fn ranges(whole: Range<u64>, size: u64) -> impl Iterator<Item = Range<u64>> {
    let pieces = (whole.end - whole.start).div_ceil(size).max(1);
    (0..pieces).map(move |piece| {
        let start = whole.start + piece * size;
        start..whole.end.min(start + size)
    })
}

fn make_folder(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).map_err(|error| failure(folder, error))
}

/// Removes the parts of an earlier, larger output: nothing else in that folder is ours.
fn remove_parts(dir: &Path, pattern: &str) -> Result<()> {
    for part in 0_u64.. {
        let path = dir.join(pattern.replace("{}", &format!("{part:05}")));
        if !path.exists() {
            break;
        }
        fs::remove_file(&path).map_err(|error| failure(&path, error))?;
    }
    Ok(())
}

fn failure(path: &Path, cause: impl std::fmt::Display) -> Failure {
    Failure::world("W901", format!("writing `{}`", path.display()), cause).help(
        "give a folder that you may write to, with room for about 500 bytes per customer and 50 bytes per web event",
    )
}

#[cfg(test)]
mod tests;
