//! Everything that is tested from the outside, in one binary: a second one would link everything again.

mod cli;
mod tidy;
