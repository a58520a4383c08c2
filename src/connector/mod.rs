//! Destinations: what each can do. Those that are no HTTP API are built in; the others come as data (DESIGN §5.6).

mod built_in;

pub use built_in::{BUILT_IN, Capabilities};
