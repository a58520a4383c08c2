//! Running relations with DataFusion, and what SQL cannot do: identity and the fused pass.

pub mod functions;
pub mod identity;
pub mod pass;
pub mod readers;
pub mod resolve;
mod session;
mod stage;

pub use session::{Limits, fork, session};
pub use stage::{Stage, fused};
