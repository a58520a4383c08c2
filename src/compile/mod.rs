//! The project becomes relations: SQL over tables, deterministic to the byte for one project and one `as_of`.
//!
//! Table names inside these statements: `raw."<source>"` is what is stored, `"<source>"` the source, `"<source>_resolved"`
//! its rows with their customers, and the names of DESIGN §4 for what was built before.

mod clock;
pub mod consents;
pub mod customer;
mod definition;
pub mod golden;
#[cfg(test)]
mod golden_tests;
pub mod identity;
mod layers;
mod moment;
mod part;
pub mod pass;
pub mod passes;
pub mod readable;
pub mod renames;
pub mod resolved;
pub mod segments;
pub mod sources;
pub mod syncs;
pub mod zipped;

pub use clock::Clock;
pub use moment::asks_the_clock;
pub use part::Part;
