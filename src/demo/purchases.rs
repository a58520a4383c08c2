//! What people buy: orders with their lines on the site, tickets in shops.

use std::collections::BTreeSet;

use super::Scene;
use super::catalogue::{Product, SHOPS, choose};
use super::cells::{Cents, Utc};
use super::clock::DAY;
use super::dice::{Dice, Topic};
use super::ids::{self, Kind, tuple_key};
use super::person::Person;
use super::presence::Presence;
use super::rows::{OrderLineRow, OrderRow, Output, Source, TicketRow};

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
pub(crate) struct Checkout<'s> {
    /// Number of the cart.
    pub(crate) cart: u64,
    /// The first product in it.
    pub(crate) product: &'s Product,
    pub(crate) items: u32,
    pub(crate) ordered_at: i64,
    /// Number of the account.
    pub(crate) account: Option<u64>,
}

/// Writes orders, lines and tickets; the recent orders come back for the site's events.
pub(crate) fn write<'s>(
    scene: &'s Scene,
    person: &Person,
    presence: &Presence,
    output: &mut impl Output,
) -> Vec<Checkout<'s>> {
    let dice = &mut Dice::new(scene.seed, Topic::Purchases, person.number);
    let mut checkouts = Vec::new();
    if person.persona.buys_online() {
        let mut tuples = BTreeSet::new();
        for n in 0..dice.about(ORDERS[person.activity]).min(512) {
            let (key, checkout) = order(scene, person, presence, dice, output, n);
            tuples.extend(key);
            checkouts.extend(checkout);
        }
        for key in &tuples {
            output.truth(Source::Orders, key, Some(&person.truth_id()));
        }
    }
    if person.persona.goes_to_shops() {
        let home_shop = person.household.id % SHOPS;
        for n in 0..dice.about(TICKETS[person.activity]).min(512) {
            let cents =
                (0..=dice.weighted(&[40, 32, 18, 10])).map(|_| choose(dice, &scene.products, person.taste).cents);
            let cents = cents.sum();
            let shop = if dice.chance(0.8) { home_shop } else { dice.below(SHOPS) };
            let id = format!("T{}", ids::code(scene.seed, Kind::Ticket, person.number * 1024 + n));
            let card = presence.card.as_deref().filter(|_| dice.chance(0.84));
            output.put(&TicketRow {
                ticket_id: &id,
                shop_id: &format!("S{:02}", shop + 1),
                card_no: card,
                total_ttc: Cents(cents),
                sold_at: Utc(scene.clock.days_ago(dice, person.left, person.joined.min(HISTORY))),
            });
        }
    }
    checkouts
}

/// One order: the key of its tuple of identifiers where only this person can have it, and its traces on the site.
fn order<'s>(
    scene: &'s Scene,
    person: &Person,
    presence: &Presence,
    dice: &mut Dice,
    output: &mut impl Output,
    n: u64,
) -> (Option<String>, Option<Checkout<'s>>) {
    let ordered_at = scene.clock.days_ago(dice, person.left, person.joined.min(HISTORY));
    let days_ago = (scene.clock.as_of - ordered_at) / DAY;
    let id = format!("W{}", ids::code(scene.seed, Kind::Order, person.number * 1024 + n));
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
        items += quantity as u32;
        first.get_or_insert(product);
        output.put(&OrderLineRow {
            order_id: &id,
            line_no: line_no as i64,
            sku: &product.sku,
            quantity,
            unit_price: Cents(price),
        });
    }
    let cart = (days_ago < CARTS_SINCE).then_some(person.number * scene.volume.carts + n);
    output.put(&OrderRow {
        order_id: &id,
        customer_ref: account.map(|account| account.id),
        email,
        ordered_at: Utc(ordered_at),
        status,
        total: Cents(total),
        channel: ["web", "app", "phone"][dice.weighted(&[64, 32, 4])],
        cart_id: cart.map(|cart| ids::code(scene.seed, Kind::Cart, cart)),
    });
    // A guest's address that is shared at home says nothing about who ordered.
    let known = account.is_some() || !person.email_is_shared;
    let trimmed = email.trim().to_lowercase();
    let key = known.then(|| tuple_key(&[account.map(|account| account.id.as_str()), Some(&trimmed)]));
    let account = account.map(|account| account.number);
    let checkout = cart.zip(first).map(|(cart, product)| Checkout { cart, product, items, ordered_at, account });
    (key, checkout)
}
