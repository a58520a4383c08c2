//! Selection: `name`, `+name` with what it needs, `name+` with what needs it, `tag:x`, `segments:*`, `segment:vip`.
//!
//! One place for every verb. Several selectors are a union; each may itself be several, separated by commas.

use std::collections::BTreeSet;

use super::graph::{Graph, Kind, Model};
use crate::diag::{Failure, nearest};

impl Graph {
    /// The models that selectors mean, by index; all where there is none. E140 where one means nothing.
    pub fn select<'a>(&self, selectors: impl IntoIterator<Item = &'a str>) -> Result<BTreeSet<usize>, Failure> {
        let mut selected = BTreeSet::new();
        let mut any = false;
        for selector in selectors.into_iter().flat_map(|text| text.split(',')).map(str::trim) {
            if !selector.is_empty() {
                any = true;
                selected.extend(self.one(selector)?);
            }
        }
        Ok(if any { selected } else { (0..self.models().len()).collect() })
    }

    /// The one model of a name, `kind:name` where several kinds have it. E140 where there is none, E141 where several.
    pub fn find(&self, name: &str) -> Result<&Model, Failure> {
        let found: Vec<&Model> = self.named(name).into_iter().filter_map(|index| self.get(index)).collect();
        match found.as_slice() {
            [one] => Ok(one),
            [] => Err(self.unknown(name)),
            several => {
                let names: Vec<String> = several.iter().map(|model| format!("`{}`", model.id())).collect();
                let cause = format!("the name belongs to {} models", several.len());
                Err(Failure::project("E141", format!("looking for `{name}`"), cause).help(format!("write {}", names.join(" or "))))
            }
        }
    }

    fn one(&self, selector: &str) -> Result<BTreeSet<usize>, Failure> {
        let upstream = selector.starts_with('+');
        let downstream = selector.len() > 1 && selector.ends_with('+');
        let core = selector.strip_prefix('+').unwrap_or(selector);
        let core = core.strip_suffix('+').unwrap_or(core);
        let found = self.named(core);
        if found.is_empty() {
            return Err(self.unknown(core));
        }
        let mut selected = found.clone();
        if upstream {
            selected.extend(self.with_needs(&found));
        }
        if downstream {
            selected.extend(self.with_dependants(&found));
        }
        Ok(selected)
    }

    /// The models of a selector without its `+`.
    fn named(&self, core: &str) -> BTreeSet<usize> {
        let matches = |model: &Model| match core.split_once(':') {
            Some(("tag", tag)) => model.tags.iter().any(|own| own == tag),
            Some((kind, name)) => Kind::named(kind) == Some(model.kind) && (name == "*" || name == model.name),
            None => model.name == core,
        };
        self.models().iter().enumerate().filter(|(_, model)| matches(model)).map(|(index, _)| index).collect()
    }

    fn unknown(&self, core: &str) -> Failure {
        let doing = format!("selecting `{core}`");
        let near = |wanted: &str, known: &mut dyn Iterator<Item = &str>| nearest(wanted, known).map(str::to_owned);
        let names = || self.models().iter().map(|model| model.name.as_str());
        let (cause, near) = match core.split_once(':') {
            Some(("tag", tag)) => {
                let mut tags = self.models().iter().flat_map(|model| &model.tags).map(String::as_str);
                (format!("no model has the tag `{tag}`"), near(tag, &mut tags).map(|near| format!("tag:{near}")))
            }
            Some((kind, name)) => match Kind::named(kind) {
                None => {
                    let mut kinds = Kind::ALL.into_iter().flat_map(|kind| [kind.name(), kind.section()]).chain(["tag"]);
                    (format!("`{kind}` is no kind of model"), near(kind, &mut kinds).map(|near| format!("{near}:{name}")))
                }
                Some(_) if name == "*" => (format!("the project has no {kind}"), None),
                Some(known) => {
                    let mut names = self.models().iter().filter(|model| model.kind == known).map(|model| model.name.as_str());
                    (format!("there is no {} `{name}`", known.name()), near(name, &mut names).map(|near| format!("{kind}:{near}")))
                }
            },
            None => (format!("there is no model `{core}`"), near(core, &mut names())),
        };
        let help = match near {
            Some(near) => format!("did you mean `{near}`? `cohorte graph` lists all models"),
            None => "`cohorte graph` lists all models".to_owned(),
        };
        Failure::project("E140", doing, cause).help(help)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shop() -> Graph {
        Graph::of(&[
            (Kind::Source, "orders", &["raw"], &[]),
            (Kind::Source, "contacts", &["raw"], &[]),
            (Kind::Entity, "customer", &[], &["source:contacts"]),
            (Kind::Trait, "orders", &[], &["source:orders", "entity:customer"]),
            (Kind::Segment, "vip", &["campaign"], &["trait:orders", "entity:customer"]),
            (Kind::Segment, "lapsed", &["campaign"], &["segment:vip"]),
            (Kind::Sync, "vip_to_crm", &[], &["segment:vip"]),
        ])
    }

    fn selected(selectors: &[&str]) -> String {
        let graph = shop();
        let found = graph.select(selectors.iter().copied()).unwrap();
        found.into_iter().map(|index| graph.get(index).unwrap().id()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn every_form_of_a_selector() {
        assert_eq!(selected(&["vip"]), "segment:vip");
        assert_eq!(selected(&["orders"]), "source:orders trait:orders");
        assert_eq!(selected(&["trait:orders"]), "trait:orders");
        assert_eq!(selected(&["+vip"]), "source:orders source:contacts entity:customer trait:orders segment:vip");
        assert_eq!(selected(&["vip+"]), "segment:vip segment:lapsed sync:vip_to_crm");
        assert_eq!(selected(&["+trait:orders+"]), "source:orders source:contacts entity:customer trait:orders segment:vip segment:lapsed sync:vip_to_crm");
        assert_eq!(selected(&["tag:campaign"]), "segment:vip segment:lapsed");
        assert_eq!(selected(&["segments:*"]), "segment:vip segment:lapsed");
        assert_eq!(selected(&["vip", "customer,lapsed"]), "entity:customer segment:vip segment:lapsed");
        assert_eq!(selected(&[]).split(' ').count(), 7);
    }

    #[test]
    fn e140_what_means_nothing_is_said_with_the_nearest() {
        for (selector, help) in [
            ("vpi", "did you mean `vip`?"),
            ("segment:lapsd", "did you mean `segment:lapsed`?"),
            ("segmetn:vip", "did you mean `segment:vip`?"),
            ("tag:campain", "did you mean `tag:campaign`?"),
            ("scores:*", "`cohorte graph` lists"),
            ("+", "`cohorte graph` lists"),
        ] {
            let failure = shop().select([selector]).unwrap_err();
            assert_eq!(failure.code, "E140", "{selector}");
            assert!(failure.help.starts_with(help), "{selector}: {}", failure.help);
        }
    }

    #[test]
    fn e141_one_model_is_wanted_and_several_are_called_so() {
        let graph = shop();
        let failure = graph.find("orders").unwrap_err();
        assert_eq!((failure.code, failure.help.as_str()), ("E141", "write `source:orders` or `trait:orders`"));
        assert_eq!(graph.find("source:orders").unwrap().kind, Kind::Source);
        assert_eq!(graph.find("order").unwrap_err().code, "E140");
    }
}
