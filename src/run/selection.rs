//! `--select`: which models are built and which syncs are sent.
//!
//! What is selected is built together with all that it needs; the rest keeps what is published (`kept`).

use std::collections::BTreeSet;

use super::opened::Opened;
use crate::diag::{Failure, Result, nearest};
use crate::project::{Graph, Kind, Model};

/// What was selected.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// The models that selectors mean; `None` is all of them.
    models: Option<BTreeSet<(Kind, String)>>,
}

impl Selection {
    /// The meaning of selectors in a project. Fails with E140 where one, or a guard that is to be passed, means nothing.
    pub fn of(opened: &Opened, selectors: &[String], accept: &[String]) -> Result<Self> {
        let project = &opened.project;
        let guarded = || {
            let models = project.segments.keys().chain(project.syncs.keys());
            models.chain(project.sources.keys()).map(String::as_str)
        };
        for name in accept {
            if !guarded().any(|known| known == name) {
                let help = nearest(name, guarded()).map(|near| format!("did you mean `{near}`?"));
                let failure = Failure::project(
                    "E140",
                    "reading `--accept`",
                    format!("there is no segment, sync or source `{name}`"),
                );
                return Err(failure.help(help.unwrap_or_else(|| "`cohorte graph` lists the models".to_owned())));
            }
        }
        if selectors.is_empty() {
            return Ok(Self::default());
        }
        let graph = Graph::new(&opened.spec, &opened.project);
        let selected = graph.select(selectors.iter().map(String::as_str))?;
        let models = selected.iter().filter_map(|&index| graph.get(index));
        Ok(Self { models: Some(models.map(|model| (model.kind, model.name.clone())).collect()) })
    }

    /// Is everything selected?
    #[must_use]
    pub fn is_all(&self) -> bool {
        self.models.is_none()
    }

    /// Is this model selected?
    #[must_use]
    pub fn means(&self, model: &Model) -> bool {
        self.has(model.kind, &model.name)
    }

    /// Is this sync sent?
    #[must_use]
    pub fn sends(&self, sync: &str) -> bool {
        self.has(Kind::Sync, sync)
    }

    fn has(&self, kind: Kind, name: &str) -> bool {
        self.models.as_ref().is_none_or(|models| models.contains(&(kind, name.to_owned())))
    }
}
