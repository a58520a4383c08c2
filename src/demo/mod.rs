//! The demonstration: a French retailer called Maison, its sources as sources really are, and the truth about who is who.
//!
//! Every person is made alone, from streams of chance seeded by (seed, topic, person number): any number of people, in
//! any order, in bounded memory, the same bytes every time. Households, shared telephones and shared devices are
//! functions of the person's number too. So shards of people could be made by as many threads as there are.
//!
//! Memory: one shard of rows (about 2 kB per person), the reference data, the compressors and one group of rows of the
//! Parquet file; none grows with the number of people. Measured: 44 MB for 300,000 people.
//!
//! `truth/records.csv.gz` names the person behind every row of `crm_contacts` and `web_accounts` (test rows have none) and
//! behind every distinct tuple of identifiers of `loyalty_cards` (`card_no`, `contact_id`, `email`, `phone`), `orders`
//! (`customer_ref`, `email`) and `web_events` (`anonymous_id`, `user_id`), as JSON arrays of normalised values. Tuples that several
//! people share, such as a family tablet on which nobody logged in, are left out: nobody could know.

mod catalogue;
mod clock;
mod dice;
mod dirt;
mod files;
mod ids;
mod messages;
mod pages;
mod person;
mod presence;
mod purchases;
mod reference;
mod web;

use std::path::Path;

use chrono::{DateTime, Utc};

use self::catalogue::Product;
use self::clock::Clock;
use self::files::Files;
use self::pages::{Output, Pages, csv_line, euros};
use self::person::Person;
use self::presence::Presence;
use self::reference::Reference;
use crate::diag::Result;

/// The end of the history, where none is given: 2026-11-01T00:00:00Z.
const AS_OF: i64 = 1_793_491_200;
/// People whose rows are in memory at the same time. Divides every number of people per part.
const SHARD: u64 = 500;

/// What to generate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// How many real people there are; nine in ten of them become known.
    pub customers: u64,
    /// Another seed, another world.
    pub seed: u64,
    /// The end of the history: nothing happens after it.
    pub as_of: DateTime<Utc>,
}

impl Default for Options {
    fn default() -> Self {
        Self { customers: 10_000, seed: 1, as_of: DateTime::from_timestamp(AS_OF, 0).unwrap_or_default() }
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
    reference: Reference,
    products: Vec<Product>,
}

/// Writes the sources of Maison, and `truth/`, into `dir`. `progress` hears the number of people done so far.
pub fn write(dir: &Path, options: &Options, progress: &mut dyn FnMut(u64)) -> Result<Summary> {
    let scene = Scene {
        seed: options.seed,
        clock: Clock { as_of: options.as_of.timestamp() },
        reference: Reference::unpack()?,
        products: catalogue::products(),
    };
    let mut files = Files::create(dir)?;
    files.write_whole("products.csv", &products_csv(&scene.products))?;
    let mut pages = Pages::default();
    let mut first = 0;
    // A world without people has files all the same: headers, and no rows.
    loop {
        let end = (first + SHARD).min(options.customers);
        for number in first..end {
            write_person(&scene, number, &mut pages);
        }
        files.write(first, &pages)?;
        pages.clear();
        progress(end);
        first = end;
        if first >= options.customers {
            break;
        }
    }
    let mut summary = files.finish()?;
    summary.push(FileSummary { path: "products.csv".to_owned(), rows: scene.products.len() as u64 });
    Ok(Summary { people: options.customers, files: summary })
}

fn write_person(scene: &Scene, number: u64, pages: &mut Pages) {
    let person = Person::new(scene.seed, &scene.reference, number);
    pages.csv(
        Output::People,
        &[
            &person.truth_id(),
            &format!("H{:07}", person.household.id),
            &person.first_name,
            &person.last_name,
            &person.birth.to_string(),
            person.persona.name(),
        ],
    );
    let presence = Presence::write(scene, &person, pages);
    let checkouts = purchases::write(scene, &person, &presence, pages);
    web::write(scene, &person, &presence, &checkouts, pages);
    messages::write(scene, &person, &presence, pages);
}

fn products_csv(products: &[Product]) -> Vec<u8> {
    let mut text = Vec::new();
    csv_line(&mut text, &["sku", "name", "category", "brand", "price"]);
    for product in products {
        csv_line(&mut text, &[&product.sku, &product.name, product.category, product.brand, &euros(product.cents)]);
    }
    text
}

#[cfg(test)]
mod tests;
