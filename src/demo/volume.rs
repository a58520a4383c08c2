//! How much happens on the site: as many visits as it takes to come to the events that were asked for.

use super::Options;
use super::columns::ROWS_PER_GROUP;

/// Visits per person where nothing else is asked for, by activity.
const VISITS: [f64; 4] = [0.5, 1.0, 2.2, 4.4];
/// Events per person where nothing else is asked for, measured on a million people: those of visits, and those of
/// checkouts, which come with orders.
const OF_VISITS: f64 = 2.77;
const OF_CHECKOUTS: f64 = 0.2;
/// More events a person are not made, so that those of one person always fit in memory.
const MOST: u64 = 10_000;
/// The most pages that a visit has, and the most events that the checkouts of one person leave.
const PAGES: u64 = 6;
const CHECKOUT_EVENTS: u64 = 32;
/// Carts below this number are those of orders.
pub(crate) const ORDERED_CARTS: u64 = 512;
/// People of a shard; fewer where they do more.
const PEOPLE: u64 = 10_000;

/// How much happens on the site, and which numbers each person's share of it has.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Volume {
    /// So many times the usual visits.
    visits: f64,
    /// Share of the usual checkouts that leave traces.
    pub(crate) checkouts: f64,
    /// Does whoever only looks around come at least once?
    pub(crate) all_visitors_come: bool,
    /// How many numbers each person has for events.
    pub(crate) events: u64,
    /// How many numbers each person has for carts.
    pub(crate) carts: u64,
    /// How many people are made before their rows are written.
    pub(crate) people_per_shard: u64,
}

impl Volume {
    pub(crate) fn of(options: &Options) -> Self {
        let usual = OF_VISITS + OF_CHECKOUTS;
        let people = options.customers.max(1);
        let per_person =
            options.events.map_or(usual, |events| events.min(people.saturating_mul(MOST)) as f64 / people as f64);
        // Orders are as they are: what is more than usual are visits.
        let (visits, checkouts) = match options.events {
            None => (1.0, 1.0),
            Some(_) if per_person < usual => (per_person / usual, per_person / usual),
            Some(_) => ((per_person - OF_CHECKOUTS) / OF_VISITS, 1.0),
        };
        let most_visits = VISITS.iter().map(|usual| (usual * visits * 2.0).ceil() as u64).max().unwrap_or(0);
        Self {
            visits,
            checkouts,
            all_visitors_come: visits >= 1.0,
            events: (most_visits * PAGES + CHECKOUT_EVENTS).next_power_of_two().max(4096),
            carts: (ORDERED_CARTS + most_visits).next_power_of_two().max(1024),
            people_per_shard: ((ROWS_PER_GROUP as f64 / per_person.max(1.0)) as u64).clamp(1, PEOPLE),
        }
    }

    /// Visits of somebody so active, on average.
    pub(crate) fn visits(&self, activity: usize) -> f64 {
        VISITS[activity] * self.visits
    }
}
