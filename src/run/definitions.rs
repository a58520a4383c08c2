//! What the models say, as a run remembers it: the next one is told which of them were changed, added or removed.

use indexmap::IndexMap;

use super::opened::Opened;
use super::publish::PROJECT;
use crate::project::Kind;
use crate::spec::Named;
use crate::store::Published;

/// What became of a model since what is published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Edit {
    /// It says something else.
    Changed,
    /// It was not there.
    New,
    /// It is no longer there.
    Removed,
}

/// What the models say that a build depends on: the id of each, with a hash of what is written. What syncs say is compared row by
/// row, when they are sent.
pub(super) fn of(opened: &Opened) -> Vec<(String, String)> {
    let spec = &opened.spec;
    let mut all = Vec::new();
    add(&mut all, Kind::Source, &spec.sources);
    add(&mut all, Kind::Event, &spec.events);
    add(&mut all, Kind::Entity, &spec.entities);
    add(&mut all, Kind::Consent, &spec.consents);
    add(&mut all, Kind::Purpose, &spec.purposes);
    add(&mut all, Kind::Trait, &spec.traits);
    add(&mut all, Kind::Score, &spec.scores);
    add(&mut all, Kind::Segment, &spec.segments);
    all
}

fn add<T>(all: &mut Vec<(String, String)>, kind: Kind, models: &IndexMap<String, Named<T>>) {
    all.extend(models.values().map(|model| (kind.id(&model.name), model.digest.clone())));
}

/// A hash of everything but data and time that decides what a build gives.
pub(super) fn fingerprint(opened: &Opened) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(env!("CARGO_PKG_VERSION").as_bytes());
    // The order of models is that of the customers' columns.
    hasher.update(format!("{}\0{:?}", opened.project.settings.timezone, of(opened)).as_bytes());
    hasher.finalize().to_hex().as_str()[..32].to_owned()
}

/// What was changed since what is published; `None` where all is as it was, or the last run left models as they were.
pub(super) fn edits(opened: &Opened, published: &Published) -> Option<Vec<(Edit, String)>> {
    let inputs = &published.inputs;
    let built = inputs.get(PROJECT).map(String::as_str).unwrap_or_default();
    if built.is_empty() || built == fingerprint(opened) {
        return None;
    }
    let now: IndexMap<String, String> = of(opened).into_iter().collect();
    let mut edits: Vec<(Edit, String)> = Vec::new();
    for (model, digest) in &now {
        match inputs.get(model) {
            None => edits.push((Edit::New, model.clone())),
            Some(before) if before != digest => edits.push((Edit::Changed, model.clone())),
            Some(_) => {}
        }
    }
    let gone = inputs.keys().filter(|input| is_model(input) && !now.contains_key(*input));
    edits.extend(gone.map(|model| (Edit::Removed, model.clone())));
    Some(edits)
}

/// Inputs that are sources have a plain name.
fn is_model(input: &str) -> bool {
    input.contains(':')
}
