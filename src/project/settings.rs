//! Settings, checked.

use chrono_tz::Tz;
use indexmap::IndexMap;

use super::Connection;
use crate::diag::{Finding, Findings, nearest};
use crate::spec::Spec;
use crate::text::{Files, Span};

/// The project's settings with their defaults.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The project's name.
    pub name: String,
    /// Root of the warehouse: a folder or a URL.
    pub root: String,
    /// Folder of our tables.
    pub schema: String,
    /// Zone of calendar days.
    pub timezone: Tz,
    /// Memory in bytes, where it is limited.
    pub memory: Option<u64>,
    /// Threads, where they are limited.
    pub threads: Option<usize>,
    /// Are audiences sent?
    pub deliver: bool,
}

pub(super) fn resolve(
    files: &Files,
    spec: &Spec,
    findings: &mut Findings,
) -> Option<(Settings, IndexMap<String, Connection>)> {
    let file = spec.warehouse.as_ref()?;
    let timezone = match &file.timezone {
        Some(name) => zone(&name.value, name.span, findings),
        None => Tz::UTC,
    };
    let memory = file.engine.as_ref().and_then(|engine| engine.memory.as_ref()).and_then(|text| {
        let bytes = bytes(&text.value);
        if bytes.is_none() {
            findings.add(Finding::error("E102", "an amount of memory is written `4GiB` or `500MiB`").at(text.span));
        }
        bytes
    });
    let deliver = file.deliver.unwrap_or(false);
    let settings = Settings {
        name: file.name.value.clone(),
        root: file.warehouse.root.value.clone(),
        schema: file.warehouse.schema.as_ref().map_or_else(|| "cdp".into(), |schema| schema.value.clone()),
        timezone,
        memory,
        threads: file
            .engine
            .as_ref()
            .and_then(|engine| engine.threads.as_ref())
            .map(|threads| threads.value.max(1) as usize),
        deliver,
    };
    let connections = super::connections::resolve(files, spec, deliver, findings);
    Some((settings, connections))
}

/// An IANA zone.
pub(super) fn zone(name: &str, span: Span, findings: &mut Findings) -> Tz {
    name.parse().unwrap_or_else(|_| {
        let near = nearest(name, chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name()));
        let help = near.map_or("zones are named as `Europe/Paris`".into(), |near| format!("did you mean `{near}`?"));
        findings.add(Finding::error("E111", format!("`{name}` is no time zone")).at(span).help(help));
        Tz::UTC
    })
}

/// The memory that a run may use, where the settings say so.
#[must_use]
pub fn memory(file: &crate::spec::WarehouseFile) -> Option<u64> {
    bytes(&file.engine.as_ref()?.memory.as_ref()?.value)
}

fn bytes(text: &str) -> Option<u64> {
    let text = text.trim();
    let split = text.find(|character: char| !character.is_ascii_digit())?;
    let (digits, unit) = text.split_at(split);
    let factor: u64 = match unit.trim() {
        "B" => 1,
        "KiB" | "KB" => 1 << 10,
        "MiB" | "MB" => 1 << 20,
        "GiB" | "GB" => 1 << 30,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(factor).filter(|bytes| *bytes > 0)
}

#[cfg(test)]
mod tests {
    use super::bytes;

    #[test]
    fn amounts_of_memory() {
        assert_eq!(bytes("4GiB"), Some(4 << 30));
        assert_eq!(bytes("500 MiB"), Some(500 << 20));
        assert_eq!(bytes("4"), None);
        assert_eq!(bytes("0MiB"), None);
        assert_eq!(bytes("99999999999999999999GiB"), None);
    }
}
