//! What people buy: orders with their lines on the site, tickets in shops.

use std::collections::BTreeSet;

use super::Scene;
use super::catalogue::{SHOPS, choose};
use super::clock::utc;
use super::dice::{Dice, Topic};
use super::ids::{self, Kind};
use super::pages::{Output, Pages, Ticket, euros, tuple_key};
use super::person::Person;
use super::presence::Presence;

/// Orders per person over the whole history, by activity.
const ORDERS: [f64; 4] = [0.4, 1.1, 3.0, 6.8];
/// Tickets per person over the whole history, by activity.
const TICKETS: [f64; 4] = [0.5, 1.2, 3.0, 6.8];
/// How long a history of purchases is, in days.
const HISTORY: i64 = 1095;
/// How long ago the site began to record carts, in days.
pub(crate) const CARTS_SINCE: i64 = 150;

/// An order whose making left traces on the site.
#[derive(Debug)]
pub(crate) struct Checkout {
    pub(crate) cart_id: String,
    pub(crate) sku: String,
    pub(crate) category: &'static str,
    pub(crate) items: u64,
    pub(crate) ordered_at: i64,
    pub(crate) account: Option<String>,
}

/// Writes orders, lines and tickets; the recent orders come back for the site's events.
pub(crate) fn write(scene: &Scene, person: &Person, presence: &Presence, pages: &mut Pages) -> Vec<Checkout> {
    let dice = &mut Dice::new(scene.seed, Topic::Purchases, person.number);
    let mut checkouts = Vec::new();
    if person.persona.buys_online() {
        let mut tuples = BTreeSet::new();
        for n in 0..dice.about(ORDERS[person.activity]).min(512) {
            let (key, checkout) = order(scene, person, presence, dice, pages, person.number * 1024 + n);
            tuples.extend(key);
            checkouts.extend(checkout);
        }
        for key in &tuples {
            pages.truth("orders", key, &person.truth_id());
        }
    }
    if person.persona.goes_to_shops() {
        let home_shop = person.household.id % SHOPS;
        for n in 0..dice.about(TICKETS[person.activity]).min(512) {
            let cents =
                (0..=dice.weighted(&[40, 32, 18, 10])).map(|_| choose(dice, &scene.products, person.taste).cents);
            let cents = cents.sum();
            let shop = if dice.chance(0.8) { home_shop } else { dice.below(SHOPS) };
            pages.tickets.push(Ticket {
                id: format!("T{}", ids::code(scene.seed, Kind::Ticket, person.number * 1024 + n)),
                shop: format!("S{:02}", shop + 1),
                card: presence.card.clone().filter(|_| dice.chance(0.84)),
                cents,
                sold_at: scene.clock.days_ago(dice, person.left, person.joined.min(HISTORY)),
            });
        }
    }
    checkouts
}

/// One order: the key of its tuple of identifiers where only this person can have it, and its traces on the site.
fn order(
    scene: &Scene,
    person: &Person,
    presence: &Presence,
    dice: &mut Dice,
    pages: &mut Pages,
    number: u64,
) -> (Option<String>, Option<Checkout>) {
    let ordered_at = scene.clock.days_ago(dice, person.left, person.joined.min(HISTORY));
    let days_ago = (scene.clock.as_of - ordered_at) / super::clock::DAY;
    let id = format!("W{}", ids::code(scene.seed, Kind::Order, number));
    let open = presence.accounts.iter().rfind(|account| account.created_at <= ordered_at);
    let account = open.filter(|_| dice.chance(0.93));
    let email = account.map_or(&person.email, |account| &account.email);
    let status = match dice.weighted(&[89, 5, 4, 2]) {
        0 => "paid",
        1 => "cancelled",
        2 => "refunded",
        _ if days_ago < 10 => "pending",
        _ => "paid",
    };
    let sale = dice.chance(0.2);
    let (mut total, mut items, mut first) = (0, 0, None);
    for line_no in 1..=1 + dice.weighted(&[46, 30, 16, 8]) {
        let product = choose(dice, &scene.products, person.taste);
        let quantity = if product.cents < 10_000 { 1 + dice.weighted(&[70, 20, 7, 3]) as i64 } else { 1 };
        let price = if sale { product.cents * 8 / 10 } else { product.cents };
        total += quantity * price;
        items += quantity as u64;
        first.get_or_insert(product);
        pages.csv(Output::OrderLines, &[&id, &line_no.to_string(), &product.sku, &quantity.to_string(), &euros(price)]);
    }
    let cart_id = (days_ago < CARTS_SINCE).then(|| ids::code(scene.seed, Kind::Cart, number));
    pages.csv(
        Output::Orders,
        &[
            &id,
            account.map_or("", |account| &account.id),
            email,
            &utc(ordered_at),
            status,
            &euros(total),
            ["web", "app", "phone"][dice.weighted(&[64, 32, 4])],
            cart_id.as_deref().unwrap_or_default(),
        ],
    );
    // A guest's address that is shared at home says nothing about who ordered.
    let known = account.is_some() || !person.email_is_shared;
    let trimmed = email.trim().to_lowercase();
    let key = known.then(|| tuple_key(&[account.map(|account| account.id.as_str()), Some(&trimmed)]));
    let checkout = cart_id.zip(first).map(|(cart_id, product)| Checkout {
        cart_id,
        sku: product.sku.clone(),
        category: product.category,
        items,
        ordered_at,
        account: account.map(|account| account.id.clone()),
    });
    (key, checkout)
}
