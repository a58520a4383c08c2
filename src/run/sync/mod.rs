//! Syncs: what is due is found, shown (`preview`) or delivered (`deliver`).
//!
//! A delivery, in this order: the journal of a run that died is folded into the state; doubts are settled with the
//! destination; what is due is computed; withdrawals go; guards are asked; the rest goes; the journal is folded again, and
//! receipts and the run are recorded. `order.rs` says who waits for whom where several are delivered at once. `sync_journal`, `sync_state`, `sync_runs` and `sync_receipts` are read at their latest
//! version: they do not belong to the published set, since what was sent cannot be rolled back.
//!
//! Who is withdrawn: a delivered row whose key or contact point has lost its consent, in every mode; and in a gated sync a
//! delivered key that no customer has any more (erased, merged, changed). Without a gate such a key is only removed by a
//! mirror. A withheld row gets a receipt when its reason changes, not in every run: `sync_runs` counts reasons each time.
//!
//! Memory: everything streams or spills; what is held is a window of rows. A run that sends nothing folds nothing.

mod baseline;
mod deliver;
mod destination;
mod difference;
mod folding;
mod journal;
mod mask;
mod order;
mod record;
mod rehearse;
mod remembered;
mod single;

#[cfg(test)]
mod candidates_tests;
#[cfg(test)]
mod consents_tests;
#[cfg(test)]
mod due_tests;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub(super) use destination::{account, folder, given, shared_account, veiled_account};
pub(super) use single::{Single, due_row};

pub use deliver::{How, Outcome, Report, deliver};
pub use difference::{Preview, preview};
pub use mask::Sample;
pub use order::{Order, Turn};
pub use rehearse::{Rehearsed, Step};
