//! Cohorte compiles a project of YAML models to customers, traits, segments, scores and consents in Delta Lake tables,
//! and delivers audiences to destinations. `ARCHITECTURE.md` is the map of these rooms; arrows point down only.

pub mod compile;
pub mod connector;
pub mod diag;
pub mod project;
pub mod spec;
pub mod sql;
pub mod text;

#[cfg(feature = "engine")]
pub mod cli;
#[cfg(feature = "engine")]
pub mod demo;
#[cfg(feature = "engine")]
pub mod engine;
#[cfg(feature = "engine")]
pub mod report;
#[cfg(feature = "engine")]
pub mod run;
#[cfg(feature = "engine")]
pub mod store;
#[cfg(feature = "engine")]
pub mod sync;
