//! Consents from the sources to what is sent, by the real executable.

mod gates;
mod shop;
mod states;
