//! What people do on the site: visits on their devices, anonymous until they log in, and carts that are left behind.

use super::Scene;
use super::catalogue::{Product, choose};
use super::cells::{Serial, Utc};
use super::clock::{DAY, HOUR};
use super::dice::{Dice, Topic};
use super::ids::{self, Code, Kind, tuple_key};
use super::person::{Person, Persona};
use super::presence::Presence;
use super::purchases::{CARTS_SINCE, Checkout};
use super::rows::{Output, Props, Source, WebEventRow};
use super::volume::ORDERED_CARTS;

/// How long the history of visits is, in days.
const HISTORY: i64 = 240;
const RECENT: i64 = 30;
const SEARCHES: [&str; 8] =
    ["lampe", "tapis rond", "canape lin", "housse de couette", "salon de jardin", "vase", "miroir", "table basse"];
const BROCHURES: [&str; 3] = ["printemps-ete", "automne-hiver", "cuisines"];
const LANDINGS: [&str; 6] = ["/", "/", "/nouveautes", "/promotions", "/magasins", "/inspirations/ambiance-bord-de-mer"];

/// Something that was done on the site: numbers instead of names, so that many events fit in memory and are quickly sorted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Event<'s> {
    time: i64,
    number: u64,
    device: Device,
    /// Number of the account.
    user: Option<u64>,
    deed: Deed<'s>,
}

/// Numbers of devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Device {
    Own(u64),
    Shared(u64),
}

#[derive(Debug, Clone, Copy)]
enum Deed<'s> {
    Landed(&'static str),
    ViewedCategory(&'s Product),
    Viewed(&'s Product),
    Searched(&'static str),
    TookBrochure(&'static str),
    /// A product that is put into a cart; early carts have no number.
    Carted(&'s Product, Option<u64>),
    /// A cart that is about to be ordered, and how much is in it.
    Ordering(u64, u32),
}

impl Device {
    fn code(self, seed: u64) -> Code {
        match self {
            Self::Own(number) => ids::code(seed, Kind::Device, number),
            Self::Shared(household) => ids::code(seed, Kind::SharedDevice, household),
        }
    }
}

impl Event<'_> {
    /// Events in this order are those of an export: by time, then by id.
    pub(crate) fn order(&self) -> (i64, u64) {
        (self.time, self.number)
    }

    /// Writes it.
    pub(crate) fn write(&self, seed: u64, output: &mut impl Output) {
        let cart = |number| ids::code(seed, Kind::Cart, number);
        let mut props = Props { sku: None, category: None, cart_id: None, items: None, query: None, brochure: None };
        let (name, path) = match self.deed {
            Deed::Landed(path) => ("page_viewed", path),
            Deed::ViewedCategory(product) => {
                props.category = Some(product.category);
                ("page_viewed", product.category_page.as_str())
            }
            Deed::Viewed(product) => {
                props.sku = Some(&product.sku);
                props.category = Some(product.category);
                ("product_viewed", product.page.as_str())
            }
            Deed::Searched(query) => {
                props.query = Some(query);
                ("search", "/recherche")
            }
            Deed::TookBrochure(brochure) => {
                props.brochure = Some(brochure);
                ("brochure_downloaded", "/brochures")
            }
            Deed::Carted(product, number) => {
                props.sku = Some(&product.sku);
                props.cart_id = number.map(cart);
                props.items = Some(1);
                ("cart_updated", "/panier")
            }
            Deed::Ordering(number, items) => {
                props.cart_id = Some(cart(number));
                props.items = Some(i64::from(items));
                ("cart_updated", "/panier")
            }
        };
        output.put(&WebEventRow {
            event_id: Serial(self.number),
            anonymous_id: self.device.code(seed),
            user_id: self.user.map(|account| ids::code(seed, Kind::Account, account)),
            name,
            path,
            props,
            occurred_at: Utc(self.time),
        });
    }
}

/// Makes the events of one person.
struct Maker<'a, 's> {
    events: &'a mut Vec<Event<'s>>,
    /// Numbers events: those of a person follow one another.
    next: u64,
    /// Distinct (device, account) pairs that are this person's alone; a handful.
    tuples: Vec<(Device, Option<u64>)>,
}

/// A visit in progress.
struct Visit {
    device: Device,
    user: Option<u64>,
    time: i64,
}

impl<'s> Maker<'_, 's> {
    fn event(&mut self, visit: &Visit, deed: Deed<'s>) {
        // Who was anonymous on a device that several people use, nobody knows.
        let tuple = (visit.device, visit.user);
        let is_known = visit.user.is_some() || matches!(visit.device, Device::Own(_));
        if is_known && !self.tuples.contains(&tuple) {
            self.tuples.push(tuple);
        }
        self.events.push(Event { time: visit.time, number: self.next, device: visit.device, user: visit.user, deed });
        self.next += 1;
    }
}

/// Makes the visits of one person, and says whose they are.
pub(crate) fn make<'s>(
    scene: &'s Scene,
    person: &Person,
    presence: &Presence,
    checkouts: &[Checkout<'s>],
    events: &mut Vec<Event<'s>>,
    output: &mut impl Output,
) {
    let dice = &mut Dice::new(scene.seed, Topic::Web, person.number);
    if !person.persona.visits_the_site() {
        return;
    }
    let volume = &scene.volume;
    let devices = 1 + dice.weighted(&[55, 33, 12]) as u64;
    let device = |n| Device::Own(person.number * 4 + n);
    let mut maker = Maker { events, next: person.number * volume.events, tuples: Vec::new() };
    let comes = person.persona == Persona::Visitor && volume.all_visitors_come;
    for n in 0..dice.about(volume.visits(person.activity)).max(u64::from(comes)) {
        // Half of the visits are recent: interest comes in waves.
        let earliest = person.joined.min(if dice.chance(0.5) { RECENT } else { HISTORY });
        let time = scene.clock.days_ago(dice, person.left.min(earliest), earliest);
        let device = if person.household.shares.device && dice.chance(0.4) {
            Device::Shared(person.household.id)
        } else {
            device(dice.below(devices))
        };
        let account = presence.accounts.iter().rfind(|account| account.created_at <= time);
        let user = account.filter(|_| dice.chance(0.5)).map(|account| account.number);
        browse(scene, person, dice, &mut maker, Visit { device, user: None, time }, user, n);
    }
    for checkout in checkouts {
        // Many buy on the telephone or in one go; a third come through a visit that was recorded.
        if dice.chance(0.4 * volume.checkouts) {
            let time = checkout.ordered_at - dice.between(300, HOUR);
            let mut visit = Visit { device: device(0), user: checkout.account, time };
            maker.event(&visit, Deed::Viewed(checkout.product));
            visit.time = checkout.ordered_at - dice.between(30, 280);
            maker.event(&visit, Deed::Ordering(checkout.cart, checkout.items));
        }
    }
    let truth = person.truth_id();
    let code = |(device, user): (Device, Option<u64>)| {
        (device.code(scene.seed), user.map(|account| ids::code(scene.seed, Kind::Account, account)))
    };
    let mut tuples: Vec<(Code, Option<Code>)> = maker.tuples.into_iter().map(code).collect();
    tuples.sort_unstable();
    for (device, user) in tuples {
        let key = tuple_key(&[Some(device.as_str()), user.as_ref().map(Code::as_str)]);
        output.truth(Source::WebEvents, &key, Some(&truth));
    }
}

/// One visit: a landing, a few pages, perhaps a login, perhaps a cart that is left behind.
fn browse<'s>(
    scene: &'s Scene,
    person: &Person,
    dice: &mut Dice,
    maker: &mut Maker<'_, 's>,
    mut visit: Visit,
    user: Option<u64>,
    number: u64,
) {
    // Half of the logins come first, the others on the way.
    let login_at = user.map(|_| if dice.chance(0.5) { 0 } else { dice.between(1, 2) });
    for step in 0..=dice.weighted(&[26, 26, 20, 14, 8, 6]) as i64 {
        if login_at == Some(step) {
            visit.user = user;
        }
        let product = choose(dice, &scene.products, person.taste);
        let deed = match if step == 0 { 0 } else { 1 + dice.weighted(&[20, 54, 10, 6, 10]) } {
            0 => Deed::Landed(dice.pick(&LANDINGS)),
            1 => Deed::ViewedCategory(product),
            2 => Deed::Viewed(product),
            3 => Deed::Searched(dice.pick(&SEARCHES)),
            4 => Deed::TookBrochure(dice.pick(&BROCHURES)),
            _ => {
                let has_number = (scene.clock.as_of - visit.time) / DAY < CARTS_SINCE;
                let cart = person.number * scene.volume.carts + ORDERED_CARTS + number;
                Deed::Carted(product, has_number.then_some(cart))
            }
        };
        maker.event(&visit, deed);
        visit.time = scene.clock.after(dice, visit.time, 8, 400);
    }
}
