//! What is said about a project that does not hold together: every code, its place and its help.

mod base;
mod consents_and_syncs;
mod models;
mod names;
mod personal;
mod placed;
mod robust;
mod shipped;
mod sql;
mod yaml;
