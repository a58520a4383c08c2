//! Sync: desired − delivered → gate → batches → destination → receipts → state.

pub mod destination;
