//! Syncs of consents: what came from an account is not sent back to it.

use super::Outcome;
use super::testing::Shop;

#[tokio::test(flavor = "multi_thread")]
async fn consents_are_sent_to_others_than_their_teller_and_withdrawals_first() {
    let mut shop = Shop::with(
        "from: {consents: [news]}, to: {connection: drop}, key: {email: contact_point}, fields: {state: status}, \
         mode: mirror, on_remove: delete, guard: {min_rows: 100}",
    );
    shop.add("1", "a@x.fr", "Ann");
    shop.add("2", "b@x.fr", "Bob");
    shop.add("3", "c@x.fr", "Cyd");
    shop.consent("b@x.fr", "withdrawn");
    shop.consents[2].2 = "their_own";
    // The guard trips, and the withdrawal goes all the same; it may not make a row.
    let report = shop.deliver(false).await;
    assert_eq!((report.outcome, report.preview.withheld["came from there"]), (Outcome::Guarded, 1));
    assert_eq!(shop.sent(), [r#"updated {"email":"b@x.fr","state":"withdrawn"}"#]);
    shop.deliver(true).await;
    assert_eq!(shop.sent(), [r#"added {"email":"a@x.fr","state":"granted"}"#]);
    // What the account itself told later is neither sent back nor removed.
    shop.consents[0].2 = "their_own";
    shop.deliver(true).await;
    assert_eq!(shop.sent(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_follows_an_echo_is_sent_even_where_it_was_delivered_before_it() {
    let mut shop = Shop::with(
        "from: {consents: [news]}, to: {connection: drop}, key: {email: contact_point}, fields: {state: status}",
    );
    shop.add("1", "a@x.fr", "Ann");
    shop.deliver_and_look().await;
    shop.consent("a@x.fr", "withdrawn");
    let withdrawn = [r#"updated {"email":"a@x.fr","state":"withdrawn"}"#];
    assert_eq!(shop.deliver_and_look().await, withdrawn);
    for at in [1, 2] {
        // She grants it there, which is not sent back; then the preference centre says no again.
        (shop.consents[0].1, shop.consents[0].2) = ("granted", "their_own");
        shop.told.push(("a@x.fr", at));
        assert_eq!(shop.deliver_and_look().await, [""; 0]);
        (shop.consents[0].1, shop.consents[0].2) = ("withdrawn", "desk");
        assert_eq!(shop.deliver_and_look().await, withdrawn);
        assert_eq!(shop.deliver_and_look().await, [""; 0], "once");
    }
}
