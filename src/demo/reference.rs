//! What people are composed of: given names by sex and decade, surnames, communes. Packed by `assets/pack.py`; origins
//! and licences in `assets/LICENCES.md`. Unpacked once per run, about 1 MB.

use std::io::Read;

use flate2::read::GzDecoder;

use super::dice::Dice;
use crate::diag::{Failure, Result};

const GIVEN_NAMES: &[u8] = include_bytes!("../../assets/given_names.csv.gz");
const COMMUNES: &[u8] = include_bytes!("../../assets/communes.csv.gz");
const SURNAMES: &str = include_str!("../../assets/surnames.txt");

/// First year of the first decade of given names.
const FIRST_YEAR: i32 = 1930;
const DECADES: usize = 8;

/// Things to draw from by weight.
#[derive(Debug)]
pub(crate) struct Weighted<T> {
    items: Vec<T>,
    /// Running sums of the weights.
    upto: Vec<u64>,
}

impl<T> Weighted<T> {
    fn new() -> Self {
        Self { items: Vec::new(), upto: Vec::new() }
    }

    fn add(&mut self, item: T, weight: u64) {
        if weight > 0 {
            self.upto.push(self.upto.last().copied().unwrap_or(0) + weight);
            self.items.push(item);
        }
    }

    /// One item. There is at least one.
    pub(crate) fn draw(&self, dice: &mut Dice) -> &T {
        let at = dice.below(self.upto.last().copied().unwrap_or(0));
        &self.items[self.upto.partition_point(|&upto| upto <= at)]
    }
}

/// A commune, or an arrondissement of the three cities that have them.
#[derive(Debug)]
pub(crate) struct Commune {
    pub(crate) name: String,
    pub(crate) postcodes: Vec<String>,
}

/// Everything that is drawn from.
#[derive(Debug)]
pub(crate) struct Reference {
    women: [Weighted<String>; DECADES],
    men: [Weighted<String>; DECADES],
    pub(crate) surnames: Weighted<&'static str>,
    pub(crate) communes: Weighted<Commune>,
}

impl Reference {
    /// Unpacks the assets.
    pub(crate) fn unpack() -> Result<Self> {
        let mut reference = Self {
            women: std::array::from_fn(|_| Weighted::new()),
            men: std::array::from_fn(|_| Weighted::new()),
            surnames: Weighted::new(),
            communes: Weighted::new(),
        };
        for line in gunzip(GIVEN_NAMES, "given names")?.lines() {
            let mut fields = line.split(',');
            let (sex, name) = (fields.next().unwrap_or_default(), fields.next().unwrap_or_default());
            let of_sex = if sex == "F" { &mut reference.women } else { &mut reference.men };
            for (decade, births) in of_sex.iter_mut().zip(fields) {
                decade.add(name.to_owned(), births.parse().unwrap_or(0));
            }
        }
        for line in gunzip(COMMUNES, "communes")?.lines() {
            let mut fields = line.split(',');
            let name = fields.next().unwrap_or_default().to_owned();
            let postcodes: Vec<String> = fields.next().unwrap_or_default().split(' ').map(str::to_owned).collect();
            let population = fields.next().and_then(|field| field.parse().ok()).unwrap_or(0);
            reference.communes.add(Commune { name, postcodes }, population);
        }
        // The commonest surname is carried by about one person in three hundred, and frequency falls with rank.
        for (rank, surname) in SURNAMES.lines().enumerate() {
            reference.surnames.add(surname, 1_000_000 / (rank as u64 + 60));
        }
        Ok(reference)
    }

    /// A given name as it was given in that year.
    pub(crate) fn given_name(&self, dice: &mut Dice, woman: bool, year: i32) -> &str {
        let decade = ((year - FIRST_YEAR) / 10).clamp(0, DECADES as i32 - 1) as usize;
        let of_sex = if woman { &self.women } else { &self.men };
        of_sex[decade].draw(dice)
    }
}

fn gunzip(packed: &[u8], what: &str) -> Result<String> {
    let mut text = String::new();
    GzDecoder::new(packed).read_to_string(&mut text).map_err(|error| {
        Failure::world("W902", format!("unpacking the {what} of the demonstration"), error)
            .help("the program file is damaged: install it again")
    })?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::dice::Topic;

    #[test]
    fn names_fit_their_time() {
        let reference = Reference::unpack().unwrap();
        let mut dice = Dice::new(1, Topic::Person, 1);
        let mut count =
            |year, name: &str| (0..3000).filter(|_| reference.given_name(&mut dice, true, year) == name).count();
        assert!(count(1942, "Monique") > count(1995, "Monique"));
        assert!(count(1995, "Manon") > count(1942, "Manon"));
    }

    #[test]
    fn communes_have_postcodes() {
        let reference = Reference::unpack().unwrap();
        assert!(reference.communes.items.len() > 4000);
        for commune in &reference.communes.items {
            assert!(commune.postcodes.iter().all(|code| code.len() == 5 && code.bytes().all(|b| b.is_ascii_digit())));
        }
    }

    #[test]
    fn a_damaged_asset_is_w902() {
        assert_eq!(gunzip(b"not gzip", "communes").unwrap_err().code, "W902");
    }
}
