//! Who people are: household, name, birth, address, telephone, habits. Everything about person `k` is a function of
//! (seed, k) alone, so people can be made in any order, on any machine, for any number of customers.

use chrono::{Datelike, NaiveDate};

use super::clock::day_in_year;
use super::dice::{Dice, Topic};
use super::dirt::ascii;
use super::ids;
use super::reference::Reference;

/// People are dealt to households in blocks of this many, so that a household is computed from its block alone.
const BLOCK: u64 = 8;

const STREETS: [&str; 40] = [
    "rue de la République",
    "avenue Victor Hugo",
    "rue Jean Jaurès",
    "rue Pasteur",
    "place de l'Église",
    "rue du Général de Gaulle",
    "boulevard Gambetta",
    "rue Émile Zola",
    "chemin des Vignes",
    "allée des Tilleuls",
    "impasse du Moulin",
    "rue des Écoles",
    "avenue de la Gare",
    "rue de Verdun",
    "rue du Stade",
    "rue des Lilas",
    "rue Jules Ferry",
    "chemin du Lavoir",
    "rue de la Fontaine",
    "rue Saint-Martin",
    "cours Lafayette",
    "rue du Faubourg",
    "quai de la Marne",
    "rue Voltaire",
    "rue Molière",
    "rue George Sand",
    "avenue du Parc",
    "rue des Acacias",
    "place du Marché",
    "rue Marie Curie",
    "rue des Jardins",
    "route de Bellevue",
    "rue du Château",
    "rue Basse",
    "Grande Rue",
    "rue de l'Abbé Grégoire",
    "square Simone Veil",
    "rue Louise Michel",
    "rue du Port",
    "sentier des Crêtes",
];

/// Domains under the reserved name `.example`: nobody can be written to by mistake.
const DOMAINS: [(&str, u32); 8] = [
    ("gmail.example", 40),
    ("orange.example", 16),
    ("free.example", 11),
    ("hotmail.example", 11),
    ("laposte.example", 8),
    ("sfr.example", 6),
    ("yahoo.example", 5),
    ("wanadoo.example", 3),
];

/// People who live together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Household {
    /// Number of its first member.
    pub(crate) id: u64,
    /// How many live in it.
    pub(crate) size: u64,
    pub(crate) surname: String,
    pub(crate) street: String,
    pub(crate) postcode: String,
    pub(crate) city: String,
    pub(crate) shares: Shares,
    head_born: i32,
    head_is_woman: bool,
}

/// What the members of a household have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shares {
    /// One mobile number for two of them.
    phone: bool,
    /// One tablet on which all of them browse.
    pub(crate) device: bool,
    /// One address for two of them.
    email: bool,
}

/// How somebody buys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Persona {
    /// Looks around on the site and is never known.
    Visitor,
    /// Buys on the site.
    Web,
    /// Buys in shops.
    Shop,
    /// Buys everywhere.
    Omni,
}

impl Persona {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Visitor => "visitor",
            Self::Web => "web",
            Self::Shop => "shop",
            Self::Omni => "omni",
        }
    }

    pub(crate) fn visits_the_site(self) -> bool {
        self != Self::Shop
    }

    pub(crate) fn buys_online(self) -> bool {
        matches!(self, Self::Web | Self::Omni)
    }

    pub(crate) fn goes_to_shops(self) -> bool {
        matches!(self, Self::Shop | Self::Omni)
    }
}

/// One real person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Person {
    pub(crate) number: u64,
    pub(crate) household: Household,
    pub(crate) is_woman: bool,
    pub(crate) first_name: String,
    pub(crate) last_name: String,
    pub(crate) birth: NaiveDate,
    /// The nine significant digits.
    pub(crate) mobile: u64,
    pub(crate) email: String,
    /// Does the partner use that address too?
    pub(crate) email_is_shared: bool,
    pub(crate) work_email: Option<String>,
    pub(crate) persona: Persona,
    /// From 0 (hardly ever) to 3 (all the time).
    pub(crate) activity: usize,
    /// Days before the end of the history: first contact with Maison.
    pub(crate) joined: i64,
    /// Days before the end of the history: last contact; 1 for those who are still about.
    pub(crate) left: i64,
    /// Index of the preferred category of products.
    pub(crate) taste: usize,
}

impl Person {
    /// Person `number` of the world that `seed` makes.
    pub(crate) fn new(seed: u64, reference: &Reference, number: u64) -> Self {
        let (household, role) = household_of(seed, reference, number);
        let dice = &mut Dice::new(seed, Topic::Person, number);
        let (is_woman, year) = match role {
            0 => (household.head_is_woman, household.head_born),
            1 => (household.head_is_woman == dice.chance(0.08), household.head_born + dice.between(-7, 7) as i32),
            // Grown-up children, or flatmates of young heads.
            _ if household.head_born < 1980 => {
                (dice.chance(0.5), (household.head_born + dice.between(23, 36) as i32).clamp(1970, 2007))
            }
            _ => (dice.chance(0.5), household.head_born + dice.between(-4, 4) as i32),
        };
        let birth = day_in_year(dice, year.clamp(1932, 2007));
        let first_name = reference.given_name(dice, is_woman, birth.year()).to_owned();
        let own_name = *reference.surnames.draw(dice);
        let takes_own = match role {
            0 => false,
            1 => dice.chance(0.3),
            _ => household.head_born >= 1980 || dice.chance(0.08),
        };
        let last_name = if takes_own { own_name.to_owned() } else { household.surname.clone() };
        let own_email = email(dice, &first_name, &last_name, birth.year(), number);
        let email_is_shared = household.shares.email && role < 2;
        let email = if email_is_shared {
            format!("famille.{}{}@orange.example", ascii(&household.surname), household.id)
        } else {
            own_email
        };
        let work_email = dice.chance(0.14).then(|| {
            let initial: String = ascii(&first_name).chars().take(1).collect();
            format!("{initial}.{}{number}@bureau.example", ascii(&last_name))
        });
        let mobile = ids::mobile(seed, if household.shares.phone && role == 1 { number - 1 } else { number });
        let persona = [Persona::Visitor, Persona::Web, Persona::Shop, Persona::Omni][dice.weighted(&[9, 34, 30, 27])];
        let activity = dice.weighted(&[24, 44, 23, 9]);
        let joined = dice.between(5, 1400);
        let left = if dice.chance(0.35) { dice.between(1, joined) } else { 1 };
        let taste = dice.below(64) as usize;
        Self {
            number,
            household,
            is_woman,
            first_name,
            last_name,
            birth,
            mobile,
            email,
            email_is_shared,
            work_email,
            persona,
            activity,
            joined,
            left,
            taste,
        }
    }

    /// The name under which the truth knows this person.
    pub(crate) fn truth_id(&self) -> String {
        format!("P{:07}", self.number)
    }

    /// The mobile number as identity writes it.
    pub(crate) fn e164(&self) -> String {
        format!("+33{}", self.mobile)
    }
}

/// The household of a person, and the person's place in it: 0 is its head, 1 the partner.
fn household_of(seed: u64, reference: &Reference, number: u64) -> (Household, u64) {
    let block = number / BLOCK;
    let dice = &mut Dice::new(seed, Topic::Block, block);
    let sizes = &[46, 36, 11, 7];
    let mut first = block * BLOCK;
    let mut size = 1 + dice.weighted(sizes) as u64;
    while first + size <= number {
        first += size;
        size = 1 + dice.weighted(sizes) as u64;
    }
    let size = size.min((block + 1) * BLOCK - first);
    let dice = &mut Dice::new(seed, Topic::Household, first);
    let commune = reference.communes.draw(dice);
    let surname = (*reference.surnames.draw(dice)).to_owned();
    let household = Household {
        id: first,
        size,
        surname,
        street: format!("{} {}", 1 + dice.below(120), dice.pick(&STREETS)),
        postcode: commune.postcodes[dice.below(commune.postcodes.len() as u64) as usize].clone(),
        city: commune.name.clone(),
        shares: Shares {
            phone: size > 1 && dice.chance(0.16),
            device: size > 1 && dice.chance(0.4),
            email: size > 1 && dice.chance(0.05),
        },
        head_born: 1936 + dice.between(0, 34) as i32 + dice.between(0, 34) as i32,
        head_is_woman: dice.chance(0.5),
    };
    (household, number - first)
}

/// An address that nobody else has: it ends with the person's number.
fn email(dice: &mut Dice, first_name: &str, last_name: &str, born: i32, number: u64) -> String {
    let (first, last) = (ascii(first_name), ascii(last_name));
    let initial: String = first.chars().take(1).collect();
    let local = match dice.below(6) {
        0 => format!("{initial}{last}{number}"),
        1 => format!("{last}.{first}{number}"),
        2 => format!("{first}_{last}{number}"),
        3 => format!("{first}{:02}.{number}", born % 100),
        _ => format!("{first}.{last}{number}"),
    };
    let weights = DOMAINS.map(|(_, weight)| weight);
    format!("{local}@{}", DOMAINS[dice.weighted(&weights)].0)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    fn people(n: u64) -> Vec<Person> {
        let reference = Reference::unpack().unwrap();
        (0..n).map(|number| Person::new(7, &reference, number)).collect()
    }

    #[test]
    fn households_agree_about_themselves() {
        let mut members: BTreeMap<u64, Vec<Person>> = BTreeMap::new();
        for person in people(2000) {
            members.entry(person.household.id).or_default().push(person);
        }
        for (id, members) in &members {
            assert!(members.iter().all(|person| person.household == members[0].household));
            assert_eq!(members.len() as u64, members[0].household.size, "household {id}");
        }
        let shared = members.values().filter(|members| members.len() > 1 && members[0].mobile == members[1].mobile);
        assert!(shared.count() > 20, "some couples share a telephone");
    }

    #[test]
    fn addresses_are_shared_only_at_home() {
        let mut home: BTreeMap<String, BTreeSet<u64>> = BTreeMap::new();
        for person in people(5000) {
            home.entry(person.email).or_default().insert(person.household.id);
        }
        assert!(home.values().all(|households| households.len() == 1));
        assert!(home.keys().all(|email| email.ends_with(".example") && email.is_ascii()));
    }

    #[test]
    fn customers_are_adults_of_all_ages() {
        let years: BTreeSet<i32> = people(3000).iter().map(|person| person.birth.year()).collect();
        assert!(*years.first().unwrap() < 1945 && *years.last().unwrap() <= 2007);
        assert!(years.len() > 60);
    }
}
