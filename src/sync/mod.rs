//! Sync: desired − delivered → gate → batches → destination → receipts → state.
//!
//! `syncer` is the loop, pure but for the destination, the journal and the clock that it is given; `queue` cuts what is due into
//! batches; `sender` sends a window of them, and `books` takes down what became of it; `journal` says what is written down around every window; `state` is what the journal adds up to, and says what is due;
//! `tables` is how both look in Delta; `guard` holds absurd results back. `destination` is the contract that `files` and `postgres` keep.

mod books;
mod cell;
pub mod clock;
pub mod destination;
pub mod files;
pub mod guard;
pub mod http;
pub mod journal;
pub mod postgres;
pub mod queue;
pub mod reason;
mod sender;
pub mod settle;
pub mod state;
pub mod syncer;
pub mod tables;

#[cfg(test)]
mod crash_tests;
#[cfg(test)]
pub(crate) mod fakes;
