//! What hangs on what in the graph, at whatever remove.

use std::collections::BTreeSet;

use super::graph::{Graph, Model};

impl Graph {
    /// These models and all that they need, at whatever remove.
    #[must_use]
    pub fn with_needs(&self, from: &BTreeSet<usize>) -> BTreeSet<usize> {
        reach(from, |index| self.get(index).map(|model| model.needs.clone()).unwrap_or_default())
    }

    /// These models and all that need them, at whatever remove.
    #[must_use]
    pub fn with_dependants(&self, from: &BTreeSet<usize>) -> BTreeSet<usize> {
        self.dependants_by(from, |_, _| true)
    }

    /// These models and all that need them, at whatever remove; only needs that count are followed: of a model (first) that
    /// another (second) needs.
    #[must_use]
    pub fn dependants_by(&self, from: &BTreeSet<usize>, counts: impl Fn(&Model, &Model) -> bool) -> BTreeSet<usize> {
        let mut dependants: Vec<Vec<usize>> = vec![Vec::new(); self.models().len()];
        for (index, model) in self.models().iter().enumerate() {
            for &need in model.needs.iter().filter(|need| counts(&self.models()[**need], model)) {
                dependants[need].push(index);
            }
        }
        reach(from, |index| dependants.get(index).cloned().unwrap_or_default())
    }
}

fn reach(from: &BTreeSet<usize>, next: impl Fn(usize) -> Vec<usize>) -> BTreeSet<usize> {
    let mut found = from.clone();
    let mut waiting: Vec<usize> = from.iter().copied().collect();
    while let Some(index) = waiting.pop() {
        waiting.extend(next(index).into_iter().filter(|other| found.insert(*other)));
    }
    found
}
