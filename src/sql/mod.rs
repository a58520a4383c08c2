//! SQL as trees: parsed with places, typed against what it reads, and printed back in one canonical form.
//!
//! No text of a user is ever pasted into a statement: what is not understood here is refused here.

mod aggregate;
mod bind;
mod bind_call;
mod bind_compare;
mod bind_time;
mod chain;
mod fault;
mod functions;
#[cfg(test)]
mod golden_tests;
mod operators;
mod parse;
mod print;
mod query;
mod types;

pub use aggregate::Aggregate;
pub use bind::{Bound, Column, Scope, bind, bind_value};
pub use fault::ValueFault;
pub use functions::{FUNCTIONS, Signature};
pub use parse::{SqlText, parse_expression};
pub use print::{Select, ident, indent, text_literal};
pub use query::{BoundQuery, bind_query};
pub use types::DataType;
