//! Sync: desired − delivered → gate → batches → destination → receipts → state.

mod cell;
pub mod destination;
pub mod files;
pub mod postgres;
