//! Under which names the retailer knows a person: contacts in the CRM, accounts on the site, a loyalty card.

use super::Scene;
use super::cells::{Local, Utc, filled};
use super::clock::{DAY, day};
use super::dice::{Dice, Topic};
use super::dirt;
use super::ids::{self, Code, Kind, tuple_key};
use super::person::{Person, Persona};
use super::rows::{AccountRow, CardRow, ContactRow, Output, Source, StaffRow};

/// An account on the site.
#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) number: u64,
    pub(crate) id: Code,
    pub(crate) email: String,
    pub(crate) created_at: i64,
}

/// What the other sources refer to.
#[derive(Debug, Default)]
pub(crate) struct Presence {
    /// Usually one; some people forget that they have one.
    pub(crate) accounts: Vec<Account>,
    pub(crate) card: Option<String>,
    /// Where the newsletter goes, and whether it was asked for.
    pub(crate) newsletter: Option<(String, i64)>,
}

impl Presence {
    /// Decides on it, and writes contacts, accounts, card and staff.
    pub(crate) fn write(scene: &Scene, person: &Person, output: &mut impl Output) -> Self {
        let mut presence = Self::default();
        let dice = &mut Dice::new(scene.seed, Topic::Presence, person.number);
        let truth = person.truth_id();
        presence.write_accounts(scene, person, dice, output, &truth);
        let contact = presence.write_contacts(scene, person, output, &truth);
        if person.persona.goes_to_shops() && dice.chance(0.72) {
            let issued = scene.clock.days_ago(dice, person.left, person.joined);
            let card_no = ids::digits(scene.seed, Kind::Card, person.number);
            let phone = dirt::phone(dice, person.mobile);
            // The till knows the contact, or at least an address or a telephone.
            let (mut contact_id, mut email, mut tel) = (None, None, None);
            match (dice.below(10), &contact) {
                (0..=6, Some(contact)) => contact_id = Some(contact.as_str()),
                (0..=8, _) => email = Some(person.email.as_str()),
                _ => tel = Some(phone.as_str()),
            }
            output.put(&CardRow { card_no: &card_no, contact_id, email, phone: tel, issued_at: day(issued) });
            let e164 = tel.map(|_| person.e164());
            let key = tuple_key(&[Some(&card_no), contact_id, email, e164.as_deref()]);
            output.truth(Source::Cards, &key, Some(&truth));
            presence.card = Some(card_no);
        }
        if dice.chance(0.004) && !person.email_is_shared {
            output.put(&StaffRow { email: &person.email });
        }
        presence
    }

    fn write_accounts(
        &mut self,
        scene: &Scene,
        person: &Person,
        dice: &mut Dice,
        output: &mut impl Output,
        truth: &str,
    ) {
        let registers = person.persona.buys_online() && dice.chance(0.82);
        let n = if registers { 1 + u64::from(dice.chance(0.03)) } else { 0 };
        for copy in 0..n {
            let number = person.number * 4 + copy;
            let id = ids::code(scene.seed, Kind::Account, number);
            let earliest = if copy == 0 { person.joined } else { (person.joined / 2).max(2) };
            let latest = if copy == 0 && dice.chance(0.7) { person.joined } else { person.left };
            let created_at = scene.clock.days_ago(dice, latest.min(earliest), earliest);
            let modified_at = scene.clock.after(dice, created_at, 0, 200 * DAY);
            let email = match (&person.work_email, copy) {
                (Some(work), 1..) => work.clone(),
                _ if copy > 0 => format!("2.{}", person.email),
                _ if dice.chance(0.1) => dirt::email(dice, &person.email),
                _ => person.email.clone(),
            };
            let first =
                if dice.chance(0.12) { dirt::name(dice, &person.first_name) } else { person.first_name.clone() };
            let last = if dice.chance(0.1) { dirt::name(dice, &person.last_name) } else { person.last_name.clone() };
            let phone = if dice.chance(0.45) { dirt::phone(dice, person.mobile) } else { String::new() };
            let country = ["FR", "BE", "CH", "LU"][dice.weighted(&[94, 3, 2, 1])];
            output.put(&AccountRow {
                id,
                email: &email,
                first_name: &first,
                last_name: &last,
                phone: filled(&phone),
                country,
                created_at: Utc(created_at),
                modified_at: Utc(modified_at),
            });
            output.truth(Source::Accounts, id.as_str(), Some(truth));
            if copy == 0 && email == person.email && dice.chance(0.4) {
                self.newsletter = Some((email.clone(), created_at));
            }
            self.accounts.push(Account { number, id, email, created_at });
        }
    }

    /// Writes the contacts; the key of the first one.
    fn write_contacts(
        &mut self,
        scene: &Scene,
        person: &Person,
        output: &mut impl Output,
        truth: &str,
    ) -> Option<String> {
        let dice = &mut Dice::new(scene.seed, Topic::Contacts, person.number);
        let known = match person.persona {
            Persona::Visitor => 0.0,
            Persona::Web => 0.42,
            Persona::Shop => 0.78,
            Persona::Omni => 0.88,
        };
        let n = if dice.chance(known) { 1 + dice.weighted(&[82, 15, 3]) as u64 } else { 0 };
        let mut first_id = None;
        for copy in 0..n {
            let id = format!("C{}", ids::code(scene.seed, Kind::Contact, person.number * 4 + copy));
            let row = Contact::draw(scene, person, dice, copy);
            if row.optin == "oui" && row.has_email {
                self.newsletter = Some((row.email.trim().to_owned(), row.created_at));
            }
            row.write(output, &id, false);
            output.truth(Source::Contacts, &id, Some(truth));
            first_id.get_or_insert(id);
        }
        if person.number % 250 == 17 {
            let id = format!("C{}", ids::code(scene.seed, Kind::Contact, person.number * 4 + 3));
            let mut row = Contact::draw(scene, person, dice, 0);
            row.email = format!("test+{}@maison.example", person.number);
            "TEST".clone_into(&mut row.last_name);
            row.write(output, &id, true);
            output.truth(Source::Contacts, &id, None);
        }
        first_id
    }
}

/// A row of the CRM.
struct Contact {
    civility: &'static str,
    first_name: String,
    last_name: String,
    email: String,
    /// Is `email` an address of the person?
    has_email: bool,
    email2: String,
    phone: String,
    birth: String,
    street: String,
    postcode: String,
    city: String,
    optin: &'static str,
    optin_at: Option<i64>,
    created_at: i64,
    modified_at: i64,
}

impl Contact {
    /// The first copy is mostly clean; later ones were typed by somebody who did not look for the first.
    fn draw(scene: &Scene, person: &Person, dice: &mut Dice, copy: u64) -> Self {
        let mess = if copy == 0 { 0.08 } else { 0.55 };
        let first = if copy == 0 { person.joined } else { (person.joined * 2 / 3).max(1) };
        let created_at = scene.clock.days_ago(dice, if copy == 0 { first } else { person.left.min(first) }, first);
        let modified_at = scene.clock.after(dice, created_at, 0, 400 * DAY);
        let mut row = Self {
            civility: if person.is_woman { "Mme" } else { "M." },
            first_name: person.first_name.clone(),
            last_name: person.last_name.clone(),
            email: person.email.clone(),
            has_email: true,
            email2: String::new(),
            phone: dirt::phone(dice, person.mobile),
            birth: person.birth.format("%d/%m/%Y").to_string(),
            street: person.household.street.clone(),
            postcode: person.household.postcode.clone(),
            city: person.household.city.clone(),
            optin: ["oui", "non", ""][dice.weighted(&[58, 30, 12])],
            optin_at: None,
            created_at,
            modified_at,
        };
        if dice.chance(mess) {
            row.first_name = dirt::name(dice, &person.first_name);
        }
        if dice.chance(mess) {
            row.last_name = dirt::name(dice, &person.last_name);
        }
        if let Some(work) = &person.work_email {
            if copy == 0 {
                row.email2.clone_from(work);
            } else if dice.chance(0.6) {
                row.email.clone_from(work);
            }
        }
        if dice.chance(mess) {
            row.email = dirt::email(dice, &row.email);
        }
        if dice.chance(0.14 + mess / 4.0) {
            row.email = String::new();
            row.has_email = false;
        } else if dice.chance(0.025) {
            row.email = dirt::no_email(dice, &person.email);
            row.has_email = false;
        }
        match dice.weighted(&[76, 14, 4, 6]) {
            0 => {}
            1 => row.phone.clear(),
            2 => dirt::no_phone(dice).clone_into(&mut row.phone),
            _ if copy > 0 => {
                let wrong = dirt::swap_digits(dice, person.mobile);
                row.phone = dirt::phone(dice, wrong);
            }
            _ => {}
        }
        if dice.chance(0.2) {
            row.birth.clear();
        } else if copy > 0 && dice.chance(0.12) {
            // Day and month change places: no date where the day is above twelve.
            row.birth = person.birth.format("%m/%d/%Y").to_string();
        } else if dice.chance(0.01) {
            "01/01/1900".clone_into(&mut row.birth);
        }
        if copy > 0 && dice.chance(0.35) {
            row.street = dirt::without_accents(&row.street).to_uppercase();
            row.city = dirt::without_accents(&row.city).to_uppercase();
        }
        if row.optin == "oui" || (row.optin == "non" && dice.chance(0.5)) {
            row.optin_at = Some(scene.clock.after(dice, created_at, 0, 30 * DAY));
        }
        row
    }

    fn write(&self, output: &mut impl Output, id: &str, is_test: bool) {
        output.put(&ContactRow {
            contact_id: id,
            civility: self.civility,
            first_name: &self.first_name,
            last_name: &self.last_name,
            email: filled(&self.email),
            email2: filled(&self.email2),
            tel_mobile: filled(&self.phone),
            birth_date: filled(&self.birth),
            addr1: &self.street,
            postcode: &self.postcode,
            city: &self.city,
            optin: filled(self.optin),
            optin_at: self.optin_at.map(Local),
            created_at: Local(self.created_at),
            modified_at: Local(self.modified_at),
            is_test,
        });
    }
}
