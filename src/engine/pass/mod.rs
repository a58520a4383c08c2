//! `cohorte_pass`: one aggregate function that computes every feature of a source in one pass over it.
//!
//! Its arguments are the specification (a JSON literal), the shape of the result (a typed null), time, key, the filters
//! and the values; see [`crate::compile::pass`] for what they mean and [`call`] for a call that has them in order.
//!
//! How it is fast: each batch is read *tap* by tap, a tap being a filter with its age classes. A tap visits only the
//! rows whose bit is set in its filter and hands them to its states, each of which runs one typed loop over them.
//! Counters of all streams lie side by side per group, so that a row's streams share cache lines.
//!
//! What a group costs: two bytes per counter and age class; per class of a sum 8 bytes (16 once one exceeds an `i64`),
//! of an average 4 more; of a least or greatest number of all time 9 (17 for decimals), of windows 24 and 16 (32) for each of
//! the few numbers that are kept, of a text 16 per class and the text; of a first value per class, or of a last one, 64 and the key
//! (and the text); per stream of distinct values or modes 24 and 16 to 48 per value seen.

mod accumulator;
mod batch;
mod counters;
mod domain;
mod exec;
mod extremes;
mod fronts;
mod lane;
mod part;
mod picks;
mod plan;
mod ratio;
mod row_accumulator;
mod small_map;
mod state;
mod sums;
mod tallies;
mod text_extremes;
mod udaf;
mod wire;

pub use exec::{Making, PassExec};
pub use lane::{Feed, Lane, STATE};
pub use plan::shape;
pub use udaf::{call, udaf};

#[cfg(test)]
mod exec_tests;
#[cfg(test)]
mod later_tests;
#[cfg(test)]
mod naive;
#[cfg(test)]
mod property_tests;
#[cfg(test)]
mod sql_tests;
