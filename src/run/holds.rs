//! Syncs that are held back: something that they send was kept by a guard, or could not be built. Their withdrawals go.

use std::collections::{BTreeMap, BTreeSet};

use super::opened::Opened;
use super::steps::{Ended, Step};
use crate::project::{Graph, Kind};

/// Why a sync is held back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hold {
    /// The guard of this segment tripped; `--accept` of the sync sends the members that were kept.
    Guard(String),
    /// This model was not built, because of this source.
    Blocked {
        /// `kind:name`.
        model: String,
        /// The source.
        source: String,
    },
}

impl Hold {
    /// Guards can be passed; what is not known cannot be sent.
    #[must_use]
    pub fn can_pass(&self) -> bool {
        self.segment().is_some()
    }

    /// The segment whose guard it is.
    #[must_use]
    pub fn segment(&self) -> Option<&str> {
        match self {
            Self::Guard(segment) => Some(segment),
            Self::Blocked { .. } => None,
        }
    }
}

impl std::fmt::Display for Hold {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Guard(segment) => {
                write!(formatter, "the guard of the segment `{segment}` keeps members as they were")
            }
            Self::Blocked { model, source } => {
                write!(formatter, "`{model}` was not built: `{source}` is not as expected")
            }
        }
    }
}

/// What a run left behind that holds syncs back.
pub(super) struct Holds {
    graph: Graph,
    models: BTreeMap<String, Hold>,
}

impl Holds {
    /// Those of the steps of a run.
    pub(super) fn of<'a>(opened: &Opened, steps: impl IntoIterator<Item = &'a Step>) -> Self {
        let hold = |step: &Step| {
            let hold = match step.ended {
                // Older runs did not say whose guard it was: the segment's own, most often.
                Ended::Held if step.why.is_empty() => Hold::Guard(step.model.split_once(':')?.1.to_owned()),
                Ended::Held => Hold::Guard(step.why.clone()),
                Ended::Blocked => Hold::Blocked { model: step.model.clone(), source: step.why.clone() },
                Ended::Done | Ended::Unchanged | Ended::Kept => return None,
            };
            Some((step.model.clone(), hold))
        };
        let models = steps.into_iter().filter_map(hold).collect();
        Self { graph: Graph::new(&opened.spec, &opened.project), models }
    }

    /// Why a sync is held back; what cannot be passed before what can.
    pub(super) fn on(&self, sync: &str) -> Option<Hold> {
        let models = self.graph.models();
        let index = models.iter().position(|model| model.kind == Kind::Sync && model.name == sync)?;
        let needs = self.graph.with_needs(&BTreeSet::from([index]));
        // That a source failed says nothing of models which do not descend from it; those that do are named themselves.
        let needs = needs.into_iter().filter_map(|need| models.get(need));
        let needs = needs.filter(|model| !matches!(model.kind, Kind::Source | Kind::Event));
        needs.filter_map(|model| self.models.get(&model.id())).min_by_key(|hold| hold.can_pass()).cloned()
    }
}
