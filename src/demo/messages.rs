//! What is said to people and what they say: the newsletter and its fate, preferences, requests for help.

use super::Scene;
use super::cells::{Serial, Utc};
use super::clock::{DAY, HOUR, utc};
use super::dice::{Dice, Topic};
use super::ids::{self, Kind};
use super::person::{Person, Persona};
use super::presence::Presence;
use super::rows::{EmailEventRow, Output, PreferenceRow, SupportRow};

/// The newsletter went out that many times, every four weeks.
const LETTERS: i64 = 5;
const LETTER_EVERY: i64 = 28;
/// (purpose, channel) of the preference centre.
const PREFERENCES: [(&str, &str); 3] = [("newsletter", "email"), ("advertising", "ads"), ("sms_promotions", "sms")];
const TOPICS: [&str; 5] = ["livraison", "retour", "produit", "facture", "compte"];

/// Writes all of it for one person.
pub(crate) fn write(scene: &Scene, person: &Person, presence: &Presence, output: &mut impl Output) {
    let dice = &mut Dice::new(scene.seed, Topic::Messages, person.number);
    if let Some((recipient, since)) = &presence.newsletter {
        letters(scene, person, dice, recipient, *since, output);
    }
    if person.persona != Persona::Visitor {
        preferences(scene, person, dice, output);
        support(scene, person, dice, output);
    }
}

fn letters(scene: &Scene, person: &Person, dice: &mut Dice, recipient: &str, since: i64, output: &mut impl Output) {
    let mut event_id = person.number * 4096;
    let bounces = dice.chance(0.015);
    let opens = [0.12, 0.3, 0.45, 0.65][person.activity];
    for letter in (0..LETTERS).rev() {
        // Sent on a Thursday morning, to all within four hours.
        let sent_at = scene.clock.as_of - (3 + letter * LETTER_EVERY) * DAY + 7 * HOUR + dice.between(0, 4 * HOUR);
        let campaign = format!("lettre-{}", &utc(sent_at)[..7]);
        let mut event = |kind, time| {
            output.put(&EmailEventRow {
                event_id: Serial(event_id),
                recipient,
                campaign: &campaign,
                kind,
                occurred_at: Utc(time),
            });
            event_id += 1;
        };
        if sent_at < since {
            continue;
        }
        event("sent", sent_at);
        if bounces {
            event("bounced", sent_at + dice.between(2, 90));
            return;
        }
        if !dice.chance(opens) {
            continue;
        }
        let opened_at = scene.clock.after(dice, sent_at, 120, 2 * DAY);
        event("opened", opened_at);
        if dice.chance(0.22) {
            event("clicked", scene.clock.after(dice, opened_at, 5, 600));
        } else if dice.chance(0.03) {
            event("unsubscribed", scene.clock.after(dice, opened_at, 5, 300));
            return;
        }
    }
}

fn preferences(scene: &Scene, person: &Person, dice: &mut Dice, output: &mut impl Output) {
    if !dice.chance(0.26) {
        return;
    }
    let mut at = scene.clock.days_ago(dice, person.left.min(700), person.joined.min(700));
    for (index, (purpose, channel)) in PREFERENCES.iter().enumerate() {
        if !dice.chance([0.8, 0.7, 0.4][index]) {
            continue;
        }
        let mut is_in = dice.chance([0.72, 0.55, 0.4][index]);
        let phone = (*channel == "sms").then(|| format!("0{}", person.mobile));
        for change in 0..=u64::from(dice.chance(0.14)) {
            let proof = ids::code(scene.seed, Kind::Proof, person.number * 8 + index as u64 * 2 + change);
            output.put(&PreferenceRow {
                proof_id: proof,
                email: &person.email,
                phone: phone.as_deref(),
                purpose,
                channel,
                state: if is_in { "in" } else { "out" },
                captured_at: Utc(at),
            });
            is_in = !is_in;
            at = scene.clock.after(dice, at, 20, 90 * DAY);
        }
    }
}

fn support(scene: &Scene, person: &Person, dice: &mut Dice, output: &mut impl Output) {
    for n in 0..dice.about([0.02, 0.06, 0.14, 0.28][person.activity]) {
        let opened = scene.clock.days_ago(dice, person.left.min(365), person.joined.min(365));
        let closed = opened + dice.between(2 * HOUR, 12 * DAY);
        let is_closed = closed < scene.clock.as_of;
        let topic = dice.weighted(&[40, 24, 18, 10, 8]);
        output.put(&SupportRow {
            ticket_id: ids::code(scene.seed, Kind::Support, person.number * 8 + n),
            requester_email: &person.email,
            topic: TOPICS[topic],
            priority: ["normal", "high", "low"][dice.weighted(&[70, 18, 12])],
            satisfaction: (is_closed && dice.chance(0.6)).then(|| 1 + dice.weighted(&[12, 10, 18, 30, 30]) as i64),
            opened_at: Utc(opened),
            closed_at: is_closed.then_some(Utc(closed)),
        });
    }
}
