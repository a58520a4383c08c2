//! `${vars.name}` everywhere, `${env.NAME}` in `warehouse.yaml`: replaced in texts before anything is decoded.

use std::collections::{BTreeMap, BTreeSet};

use crate::diag::{Finding, Findings, nearest};
use crate::text::{Node, Value};

/// What may be referred to.
#[derive(Debug, Clone, Default)]
pub struct Variables {
    /// `${vars.name}`.
    pub vars: BTreeMap<String, String>,
    /// `${env.NAME}`; absent in model files.
    pub env: Option<BTreeMap<String, String>>,
}

/// Replaces references in every text of a tree. A missing environment variable leaves its reference where `lenient`
/// (connections: whoever uses it says so), and is a finding elsewhere.
pub(super) fn interpolate(node: &mut Node, variables: &Variables, lenient: bool, findings: &mut Findings) {
    match &mut node.value {
        Value::Text(text) if text.contains("${") => {
            let span = node.span;
            let mut out = String::with_capacity(text.len());
            let mut rest = text.as_str();
            while let Some(start) = rest.find("${") {
                let Some(length) = rest[start..].find('}') else { break };
                out.push_str(&rest[..start]);
                let reference = &rest[start + 2..start + length];
                match look_up(reference, variables) {
                    Ok(Some(value)) => out.push_str(value),
                    Ok(None) if lenient => out.push_str(&rest[start..=start + length]),
                    Ok(None) => {
                        let message =
                            format!("the environment variable `{}` is not set", reference.trim_start_matches("env."));
                        findings.add(
                            Finding::error("E109", message).at(span).help("set it before running, or write the value"),
                        );
                    }
                    Err((message, near)) => {
                        let mut finding = Finding::error("E108", message).at(span);
                        finding.help = near.map(|near| format!("did you mean `${{{near}}}`?"));
                        findings.add(finding);
                    }
                }
                rest = &rest[start + length + 1..];
            }
            out.push_str(rest);
            *text = out;
        }
        Value::List(items) => items.iter_mut().for_each(|item| interpolate(item, variables, lenient, findings)),
        Value::Map(entries) => {
            for (_, item) in entries {
                interpolate(item, variables, lenient, findings);
            }
        }
        _ => {}
    }
}

/// The variables that the texts of a tree refer to.
pub(super) fn referred(node: &Node, into: &mut BTreeSet<String>) {
    match &node.value {
        Value::Text(text) => {
            let names = text.split("${vars.").skip(1).filter_map(|rest| rest.split_once('}'));
            into.extend(names.map(|(name, _)| name.to_owned()));
        }
        Value::List(items) => items.iter().for_each(|item| referred(item, into)),
        Value::Map(entries) => entries.iter().for_each(|(_, item)| referred(item, into)),
        _ => {}
    }
}

type Unknown = (String, Option<String>);

fn look_up<'a>(reference: &str, variables: &'a Variables) -> Result<Option<&'a str>, Unknown> {
    if let Some(name) = reference.strip_prefix("vars.") {
        return variables.vars.get(name).map(|value| Some(value.as_str())).ok_or_else(|| {
            let near = nearest(name, variables.vars.keys().map(String::as_str)).map(|near| format!("vars.{near}"));
            (format!("the variable `{name}` is not set: `vars:` in warehouse.yaml or `--var {name}=…` sets it"), near)
        });
    }
    match (reference.strip_prefix("env."), &variables.env) {
        (Some(name), Some(env)) => Ok(env.get(name).map(String::as_str)),
        (Some(_), None) => Err(("`${env.…}` is allowed in warehouse.yaml only".into(), None)),
        (None, _) => {
            Err((format!("`${{{reference}}}` refers to nothing: write `${{vars.name}}` or `${{env.NAME}}`"), None))
        }
    }
}
