//! The order among syncs that are delivered at the same time.
//!
//! At every account withdrawals go before anything else, those of all syncs; and the members of an audience go after the records
//! that they are members with. Syncs on other accounts do not wait, so one whose destination hangs keeps nobody.

use std::collections::BTreeMap;

use tokio::sync::{Semaphore, SemaphorePermit, watch};

use super::destination;
use crate::project::{Connection, Remote, Sync};

/// Most syncs that compute or send at once. Each holds a window of rows in memory; the warehouse is read within the engine's limits.
const AT_ONCE: usize = 8;

/// The syncs of one delivery.
pub struct Order {
    busy: Semaphore,
    accounts: BTreeMap<String, Account>,
}

/// How many syncs of an account have not come so far yet.
#[derive(Default)]
struct Account {
    withdrawing: watch::Sender<usize>,
    records: watch::Sender<usize>,
}

impl Order {
    /// Of these syncs, all of which will begin.
    pub fn of<'a>(syncs: impl IntoIterator<Item = (&'a Sync, &'a Connection)>) -> Self {
        let mut accounts: BTreeMap<String, Account> = BTreeMap::new();
        for (sync, connection) in syncs {
            let account = accounts.entry(destination::account_key(connection)).or_default();
            account.withdrawing.send_modify(|count| *count += 1);
            if !is_audience(sync) {
                account.records.send_modify(|count| *count += 1);
            }
        }
        Self { busy: Semaphore::new(AT_ONCE), accounts }
    }

    /// The place of one of them.
    pub fn turn(&self, sync: &Sync, connection: &Connection) -> Turn<'_> {
        let account = self.accounts.get(&destination::account_key(connection));
        Turn {
            order: self,
            busy: None,
            withdrawing: account.map(|account| Joined(&account.withdrawing)),
            records: account.filter(|_| !is_audience(sync)).map(|account| Joined(&account.records)),
            waits_for: account.filter(|_| is_audience(sync)),
        }
    }
}

fn is_audience(sync: &Sync) -> bool {
    matches!(sync.remote, Some(Remote::Audience { .. }))
}

/// Counts until it is dropped: whatever ends a sync, nobody waits for it.
struct Joined<'a>(&'a watch::Sender<usize>);

impl Drop for Joined<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count = count.saturating_sub(1));
    }
}

/// The place of a sync among the others.
pub struct Turn<'a> {
    order: &'a Order,
    busy: Option<SemaphorePermit<'a>>,
    withdrawing: Option<Joined<'a>>,
    #[expect(dead_code, reason = "held, not read")]
    records: Option<Joined<'a>>,
    /// The account whose records go first.
    waits_for: Option<&'a Account>,
}

impl Turn<'_> {
    /// Waits until there is room for one more.
    pub async fn begin(&mut self) {
        // The semaphore is never closed.
        self.busy = self.order.busy.acquire().await.ok();
    }

    /// Its withdrawals are through: waits until everything else may go.
    pub async fn withdrawn(&mut self) {
        let Some(joined) = self.withdrawing.take() else { return };
        // Others need the room to come as far.
        self.busy = None;
        let withdrawing = joined.0;
        drop(joined);
        until_none(withdrawing).await;
        if let Some(account) = self.waits_for {
            until_none(&account.records).await;
        }
        self.begin().await;
    }
}

async fn until_none(counter: &watch::Sender<usize>) {
    // An error says that the counter is gone, and nobody is counted any more.
    let _ = counter.subscribe().wait_for(|count| *count == 0).await;
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use futures::future::join_all;

    use super::super::testing::Shop;
    use super::*;

    fn audience(sync: &Sync) -> Sync {
        let remote = Remote::Audience { kind: "tag".to_owned(), name: "vip".to_owned() };
        Sync { remote: Some(remote), ..sync.clone() }
    }

    #[tokio::test]
    async fn at_an_account_withdrawals_go_first_and_audiences_last() {
        let shop = Shop::with(
            "from: {segment: vip}, to: {connection: drop}, key: email, fields: {email: email}, first_run: send, consent: {none: test}",
        );
        let workspace = shop.workspace().await;
        let sync = Shop::sync(&workspace);
        let connection = |name: &str| &workspace.opened.project.connections[name];
        let here = connection("drop");
        // More than may be busy at once: who waits for others leaves them the room.
        let mut syncs = vec![(audience(&sync), here); AT_ONCE];
        syncs.extend(std::iter::repeat_n((sync.clone(), here), AT_ONCE));
        let elsewhere = Connection { account: "another".to_owned(), ..here.clone() };
        syncs.push((sync, &elsewhere));
        let order = Order::of(syncs.iter().map(|(sync, connection)| (sync, *connection)));
        let said = Mutex::new(Vec::new());
        let say = |text: &'static str| said.lock().unwrap().push(text);
        let all = syncs.iter().map(async |(sync, connection)| {
            let mut turn = order.turn(sync, connection);
            turn.begin().await;
            tokio::task::yield_now().await;
            if connection.account == "another" {
                turn.withdrawn().await;
                say("elsewhere");
                return;
            }
            say("withdraws");
            turn.withdrawn().await;
            tokio::task::yield_now().await;
            say(if is_audience(sync) { "audience" } else { "record" });
        });
        join_all(all).await;
        let mut said = said.into_inner().unwrap();
        said.retain(|text| *text != "elsewhere");
        said.dedup();
        assert_eq!(said, ["withdraws", "record", "audience"]);
    }

    #[tokio::test]
    async fn nobody_waits_for_a_sync_that_has_ended() {
        let shop = Shop::with(
            "from: {segment: vip}, to: {connection: drop}, key: email, fields: {email: email}, first_run: send, consent: {none: test}",
        );
        let workspace = shop.workspace().await;
        let (sync, connection) = (Shop::sync(&workspace), &workspace.opened.project.connections["drop"]);
        let order = Order::of([(&sync, connection), (&sync, connection)]);
        let (mut one, other) = (order.turn(&sync, connection), order.turn(&sync, connection));
        one.begin().await;
        drop(other);
        one.withdrawn().await;
    }
}
