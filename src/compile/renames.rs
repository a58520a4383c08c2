//! `was: old_name`: a model that had another name keeps what is remembered under it.

use std::collections::BTreeMap;

use crate::sql::{ident, text_literal};

/// Which models take over what is remembered under their old names, in this run: (entity, old name) → new name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Renames(BTreeMap<(String, String), String>);

/// A model, and the name that it had before.
#[derive(Debug, Clone, Copy)]
pub struct Named<'a> {
    /// Its entity.
    pub entity: &'a str,
    /// Its name.
    pub name: &'a str,
    /// The name that it had.
    pub was: &'a str,
}

impl Renames {
    /// Of the models that have not taken over yet, those that can: nothing is remembered under their new names, or it goes
    /// to another model at the same time (two models may swap their names). `has_past` says whether something is remembered of
    /// an entity under a name.
    #[must_use]
    pub fn due<'a>(models: impl IntoIterator<Item = Named<'a>>, has_past: impl Fn(&str, &str) -> bool) -> Self {
        let mut due: Vec<Named<'a>> = models.into_iter().collect();
        loop {
            let stays = |model: &Named<'a>| {
                let leaves = due.iter().any(|other| other.entity == model.entity && other.was == model.name);
                has_past(model.entity, model.name) && !leaves
            };
            let kept: Vec<Named<'a>> = due.iter().filter(|model| !stays(model)).copied().collect();
            if kept.len() == due.len() {
                break;
            }
            due = kept;
        }
        let mut renames = BTreeMap::new();
        for model in due {
            renames.entry((model.entity.to_owned(), model.was.to_owned())).or_insert_with(|| model.name.to_owned());
        }
        Self(renames)
    }

    /// Is nothing renamed?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The old name of a model that takes over now.
    #[must_use]
    pub fn old_name(&self, entity: &str, name: &str) -> Option<&str> {
        let renamed = self.0.iter().find(|((of, _), new)| of == entity && *new == name);
        renamed.map(|((_, old), _)| old.as_str())
    }

    /// A column of names, under the names that hold now. `entity` is the column that says whose the row is, where there is one:
    /// names are unique in a project at one time, but may have passed from one entity's model to another's.
    #[must_use]
    pub fn sql(&self, column: &str, entity: Option<&str>) -> String {
        let column = ident(column);
        if self.is_empty() {
            return column;
        }
        let mut sql = "case".to_owned();
        for ((of, old), new) in &self.0 {
            let whose =
                entity.map(|entity| format!("{} = {} and ", ident(entity), text_literal(of))).unwrap_or_default();
            sql.push_str(&format!(" when {whose}{column} = {} then {}", text_literal(old), text_literal(new)));
        }
        format!("{sql} else {column} end")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn due(models: &[(&str, &str, &str)], pasts: &[(&str, &str)]) -> Vec<String> {
        let models = models.iter().map(|&(entity, name, was)| Named { entity, name, was });
        let renames = Renames::due(models, |entity, name| pasts.contains(&(entity, name)));
        renames.0.iter().map(|((entity, old), new)| format!("{entity} {old} → {new}")).collect()
    }

    #[test]
    fn a_name_is_taken_over_where_it_is_free_or_becomes_free() {
        assert_eq!(due(&[("c", "new", "old")], &[("c", "old")]), ["c old → new"]);
        // Somebody has it, and keeps it.
        assert_eq!(due(&[("c", "new", "old")], &[("c", "old"), ("c", "new")]), [""; 0]);
        // Two swap, three go round.
        let both = [("c", "a"), ("c", "b")];
        assert_eq!(due(&[("c", "a", "b"), ("c", "b", "a")], &both), ["c a → b", "c b → a"]);
        let three = [("c", "a"), ("c", "b"), ("c", "x")];
        assert_eq!(
            due(&[("c", "a", "b"), ("c", "b", "x"), ("c", "x", "a")], &three),
            ["c a → x", "c b → a", "c x → b"]
        );
        // A chain that ends at a name that stays moves nobody.
        assert_eq!(due(&[("c", "a", "b"), ("c", "x", "old")], &[("c", "a"), ("c", "b"), ("c", "old")]), ["c old → x"]);
        // Names of another entity are others.
        assert_eq!(due(&[("c", "a", "b"), ("d", "b", "a")], &[("c", "b"), ("d", "a")]), ["c b → a", "d a → b"]);
    }
}
