//! What results are made of, as a hash.

use std::collections::BTreeSet;

use crate::project::Project;

/// Sources and what they belong to.
pub(super) fn closure<'p>(project: &'p Project, sources: &'p [String]) -> BTreeSet<&'p str> {
    let mut waiting: Vec<&str> = sources.iter().map(String::as_str).collect();
    let mut all = BTreeSet::new();
    while let Some(name) = waiting.pop() {
        if all.insert(name)
            && let Some(source) = project.sources.get(name)
        {
            waiting.extend(source.parents.iter().map(|parent| parent.source.as_str()));
        }
    }
    all
}

/// A hash of texts, in order.
pub(super) struct Basis(blake3::Hasher);

impl Basis {
    /// Of none yet, by this version of the program.
    pub(super) fn new() -> Self {
        let mut basis = Self(blake3::Hasher::new());
        basis.add(env!("CARGO_PKG_VERSION"));
        basis
    }

    pub(super) fn add(&mut self, text: &str) {
        self.0.update(&(text.len() as u64).to_le_bytes());
        self.0.update(text.as_bytes());
    }

    pub(super) fn finish(&self) -> String {
        self.0.finalize().to_hex().as_str()[..32].to_owned()
    }
}
