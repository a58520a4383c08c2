//! `--select`: which segments move and which syncs are sent.
//!
//! A build reads every source once for all features, so there is nothing to save by computing fewer of them. What selection
//! decides is what changes for others: segments that are not selected keep the members that are published, syncs that are not
//! selected send nothing. Traits and scores are always those of the run.

use std::collections::BTreeSet;

use super::opened::Opened;
use crate::diag::{Failure, Result, nearest};
use crate::project::{Graph, Kind};

/// What was selected; `None` is everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// Segments that may move.
    pub segments: Option<BTreeSet<String>>,
    /// Syncs that are sent.
    pub syncs: Option<BTreeSet<String>>,
}

impl Selection {
    /// The meaning of selectors in a project. Fails with E140 where one, or a guard that is to be passed, means nothing.
    pub fn of(opened: &Opened, selectors: &[String], accept: &[String]) -> Result<Self> {
        let project = &opened.project;
        let guarded = || project.segments.keys().chain(project.syncs.keys()).map(String::as_str);
        for name in accept {
            if !guarded().any(|known| known == name) {
                let help = nearest(name, guarded()).map(|near| format!("did you mean `{near}`?"));
                let failure =
                    Failure::project("E140", "reading `--accept`", format!("there is no segment or sync `{name}`"));
                return Err(failure.help(help.unwrap_or_else(|| "`cohorte graph` lists the models".to_owned())));
            }
        }
        if selectors.is_empty() {
            return Ok(Self::default());
        }
        let graph = Graph::new(&opened.spec, &opened.project);
        let selected = graph.select(selectors.iter().map(String::as_str))?;
        let of_kind = |kind: Kind| {
            let models = selected.iter().filter_map(|&index| graph.get(index)).filter(|model| model.kind == kind);
            Some(models.map(|model| model.name.clone()).collect())
        };
        Ok(Self { segments: of_kind(Kind::Segment), syncs: of_kind(Kind::Sync) })
    }

    /// May this segment move?
    #[must_use]
    pub fn moves(&self, segment: &str) -> bool {
        self.segments.as_ref().is_none_or(|segments| segments.contains(segment))
    }

    /// Is this sync sent?
    #[must_use]
    pub fn sends(&self, sync: &str) -> bool {
        self.syncs.as_ref().is_none_or(|syncs| syncs.contains(sync))
    }
}
