//! Destinations: what each can do, and how the HTTP APIs among them are spoken to. Those come as data (DESIGN §5.6): one file each, in
//! `connectors/`, no Rust.
//!
//! `compile` turns a file into a `Connector`; `exchange` turns rows into requests and answers into outcomes, over a `Wire` that sends
//! them; `examples` is such a wire that reads from the file's own tests. Nothing here has a network, a clock or a file.

mod answer;
mod audience;
mod batches;
mod built_in;
mod compile;
mod credentials;
mod examples;
mod exchange;
#[cfg(test)]
mod exchange_tests;
mod expression;
mod filters;
mod grant;
mod job;
mod library;
mod lookup;
mod masked;
mod model;
mod objects;
mod operations;
mod outcome;
mod peer;
mod reference;
mod request;
mod results;
mod rows;
mod shown;
mod speak;
mod template;
#[cfg(test)]
mod wrong_tests;

pub use answer::{NoAnswer, Response};
pub use audience::{check_account, find as find_audience, make as make_audience};
pub use built_in::{BUILT_IN, Capabilities};
pub use compile::compile;
pub use examples::{example_requests, run_examples};
pub use exchange::{Deed, Delivery, What, deliver};
pub use filters::{NORMALISERS, WRITERS};
pub use grant::{Grant, authorise, granted, sign_in, signs_in};
pub use library::{SHIPPED, read, shipped};
pub use masked::mask;
pub use model::{Audience, Columns, Connector, Consent, Object, Operation, Quota};
pub use outcome::Outcome;
pub use peer::{Peer, Said};
pub use reference::reference;
pub use request::{Request, Whom};
pub use rows::Row;
pub use shown::{Rehearsal, Shown, ShownAnswer, Watched};
pub use speak::Wire;

pub use crate::spec::connector::Method;
