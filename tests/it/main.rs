//! Tests that need more than the library: real servers, whole projects.

mod postgres;
