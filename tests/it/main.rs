//! Everything that needs the whole crate, a real executable or a real system, in one test binary: linking it costs more
//! than running it.

mod alerts;
mod bad_input;
mod builds;
mod carried;
mod cli;
mod consents;
mod contracts;
mod delivery;
mod examples;
mod fakes;
mod features;
mod hygiene;
mod kills;
mod library;
mod nasty;
mod partial;
mod postgres;
mod recorded;
mod renames;
mod results;
mod stores;
mod survival;
mod sync;
mod tidy;
mod told;
mod trials;
mod tryton;
mod verbs;
