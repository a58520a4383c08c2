//! Model by model, the project becomes relations: SQL trees that are deterministic to the byte.

pub mod pass;
