//! What people do on the site: visits on their devices, anonymous until they log in, and carts that are left behind.

use std::collections::BTreeSet;

use serde::Serialize;

use super::Scene;
use super::catalogue::{category_path, choose};
use super::clock::{HOUR, utc};
use super::dice::{Dice, Topic};
use super::ids::{self, Kind};
use super::pages::{Output, Pages, tuple_key};
use super::person::{Person, Persona};
use super::presence::Presence;
use super::purchases::{CARTS_SINCE, Checkout};

/// Visits per person, by activity.
const VISITS: [f64; 4] = [0.5, 1.0, 2.2, 4.4];
/// How long the history of visits is, in days.
const HISTORY: i64 = 240;
const RECENT: i64 = 30;
const SEARCHES: [&str; 8] =
    ["lampe", "tapis rond", "canape lin", "housse de couette", "salon de jardin", "vase", "miroir", "table basse"];
const BROCHURES: [&str; 3] = ["printemps-ete", "automne-hiver", "cuisines"];
const LANDINGS: [&str; 6] = ["/", "/", "/nouveautes", "/promotions", "/magasins", "/inspirations/ambiance-bord-de-mer"];

#[derive(Serialize)]
struct Event<'a> {
    event_id: String,
    anonymous_id: &'a str,
    user_id: Option<&'a str>,
    name: &'a str,
    path: &'a str,
    props: Props<'a>,
    occurred_at: String,
}

#[derive(Default, Serialize)]
struct Props<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    sku: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    category: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cart_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    items: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    query: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    brochure: Option<&'a str>,
}

/// Writes the events of one person.
struct Writer<'a> {
    pages: &'a mut Pages,
    /// Numbers events: those of a person follow one another.
    next_event: u64,
    /// Distinct (device, account) pairs that are this person's alone.
    tuples: BTreeSet<(String, Option<String>)>,
}

/// A visit in progress.
struct Visit<'a> {
    device: &'a str,
    device_is_shared: bool,
    user: Option<&'a str>,
    time: i64,
}

impl Writer<'_> {
    fn event(&mut self, visit: &Visit, name: &str, path: &str, props: Props) {
        // Who was anonymous on a device that several people use, nobody knows.
        if visit.user.is_some() || !visit.device_is_shared {
            self.tuples.insert((visit.device.to_owned(), visit.user.map(str::to_owned)));
        }
        let row = Event {
            event_id: self.next_event.to_string(),
            anonymous_id: visit.device,
            user_id: visit.user,
            name,
            path,
            props,
            occurred_at: utc(visit.time),
        };
        self.next_event += 1;
        self.pages.json(Output::WebEvents, &row);
    }
}

/// Writes the visits of one person.
pub(crate) fn write(scene: &Scene, person: &Person, presence: &Presence, checkouts: &[Checkout], pages: &mut Pages) {
    let dice = &mut Dice::new(scene.seed, Topic::Web, person.number);
    if !person.persona.visits_the_site() {
        return;
    }
    let devices: Vec<String> = (0..=dice.weighted(&[55, 33, 12]) as u64)
        .map(|n| ids::code(scene.seed, Kind::Device, person.number * 4 + n))
        .collect();
    let shared = person.household.shares.device.then(|| ids::code(scene.seed, Kind::SharedDevice, person.household.id));
    let mut writer = Writer { pages, next_event: person.number * 4096, tuples: BTreeSet::new() };
    for n in 0..dice.about(VISITS[person.activity]).max(u64::from(person.persona == Persona::Visitor)) {
        // Half of the visits are recent: interest comes in waves.
        let earliest = person.joined.min(if dice.chance(0.5) { RECENT } else { HISTORY });
        let time = scene.clock.days_ago(dice, person.left.min(earliest), earliest);
        let (device, device_is_shared) = match &shared {
            Some(shared) if dice.chance(0.4) => (shared, true),
            _ => (&devices[dice.below(devices.len() as u64) as usize], false),
        };
        let account = presence.accounts.iter().rfind(|account| account.created_at <= time);
        let user = account.filter(|_| dice.chance(0.5)).map(|account| account.id.as_str());
        let visit = Visit { device, device_is_shared, user: None, time };
        browse(scene, person, dice, &mut writer, visit, user, n);
    }
    for checkout in checkouts {
        // Many buy on the telephone or in one go; a third come through a visit that was recorded.
        if dice.chance(0.4) {
            let device = &devices[0];
            let mut visit = Visit {
                device,
                device_is_shared: false,
                user: checkout.account.as_deref(),
                time: checkout.ordered_at - dice.between(300, HOUR),
            };
            let path = format!("/produit/{}", checkout.sku.to_lowercase());
            let props = Props { sku: Some(&checkout.sku), category: Some(checkout.category), ..Props::default() };
            writer.event(&visit, "product_viewed", &path, props);
            visit.time = checkout.ordered_at - dice.between(30, 280);
            let props = Props { cart_id: Some(&checkout.cart_id), items: Some(checkout.items), ..Props::default() };
            writer.event(&visit, "cart_updated", "/panier", props);
        }
    }
    let truth = person.truth_id();
    for (device, user) in std::mem::take(&mut writer.tuples) {
        writer.pages.truth("web_events", &tuple_key(&[Some(&device), user.as_deref()]), &truth);
    }
}

/// One visit: a landing, a few pages, perhaps a login, perhaps a cart that is left behind.
fn browse<'a>(
    scene: &Scene,
    person: &Person,
    dice: &mut Dice,
    writer: &mut Writer,
    mut visit: Visit<'a>,
    user: Option<&'a str>,
    number: u64,
) {
    // Half of the logins come first, the others on the way.
    let login_at = user.map(|_| if dice.chance(0.5) { 0 } else { dice.between(1, 2) });
    for step in 0..=dice.weighted(&[26, 26, 20, 14, 8, 6]) as i64 {
        if login_at == Some(step) {
            visit.user = user;
        }
        let product = choose(dice, &scene.products, person.taste);
        match if step == 0 { 0 } else { 1 + dice.weighted(&[20, 54, 10, 6, 10]) } {
            0 => writer.event(&visit, "page_viewed", dice.pick(&LANDINGS), Props::default()),
            1 => {
                let path = format!("/categorie/{}", category_path(product.category));
                writer.event(
                    &visit,
                    "page_viewed",
                    &path,
                    Props { category: Some(product.category), ..Props::default() },
                );
            }
            2 => {
                let path = format!("/produit/{}", product.sku.to_lowercase());
                let props = Props { sku: Some(&product.sku), category: Some(product.category), ..Props::default() };
                writer.event(&visit, "product_viewed", &path, props);
            }
            3 => {
                let props = Props { query: Some(dice.pick(&SEARCHES)), ..Props::default() };
                writer.event(&visit, "search", "/recherche", props);
            }
            4 => {
                let props = Props { brochure: Some(dice.pick(&BROCHURES)), ..Props::default() };
                writer.event(&visit, "brochure_downloaded", "/brochures", props);
            }
            _ => {
                let since = (scene.clock.as_of - visit.time) / super::clock::DAY;
                let cart = ids::code(scene.seed, Kind::Cart, person.number * 1024 + 512 + number % 512);
                let cart_id = (since < CARTS_SINCE).then_some(cart.as_str());
                let props = Props { cart_id, sku: Some(&product.sku), items: Some(1), ..Props::default() };
                writer.event(&visit, "cart_updated", "/panier", props);
            }
        }
        visit.time = scene.clock.after(dice, visit.time, 8, 400);
    }
}
