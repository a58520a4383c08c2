//! Running relations with DataFusion, and what SQL cannot do: identity and the fused pass.

pub mod functions;
pub mod identity;
pub mod pass;
pub mod readers;
pub mod resolve;
