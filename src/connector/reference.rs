//! The reference page of connectors' files: the filters, and every key from the types that read it.

use serde_json::{Map, Value as Json};

use super::filters::{NORMALISERS, WRITERS};
use crate::spec::connector_json_schema;

/// The page in Markdown. The tidy test keeps `docs/reference/connectors.md` equal to it.
#[must_use]
pub fn reference() -> String {
    let schema: Json = serde_json::from_str(&connector_json_schema()).unwrap_or_default();
    let mut page = String::from(
        "# Connectors: reference\n\n*Generated from the types that read the files. The guide is `docs/connectors.md`; `cohorte schema \
         --connector` prints the same as JSON Schema, for editors.*\n\nKeys in bold must be there. A key that may be written once or \
         several times takes a value or a list.\n\n",
    );
    section(&mut page, "A connector's file", &schema);
    for (name, definition) in schema["$defs"].as_object().into_iter().flatten() {
        section(&mut page, name, definition);
    }
    page.push_str(
        "## Filters\n\nNormalisers take text, and give the one way to write it; `normalise:` and expressions know them. Where a text \
         cannot be written so they give nothing: a row is rejected by `normalise:`, an expression is null.\n\n",
    );
    table(&mut page, "normaliser", NORMALISERS.iter().map(filter));
    page.push_str(
        "The other filters stand in expressions alone, beside Jinja's own (`default`, `first`, `join`, `split` …).\n\n",
    );
    table(&mut page, "filter", WRITERS.iter().map(filter));
    page.truncate(page.trim_end().len());
    page.push('\n');
    page
}

fn filter((name, what): &(&str, &str)) -> (String, String) {
    (format!("`{name}`"), (*what).to_owned())
}

/// A kind of value: its keys, or what it can be.
fn section(page: &mut String, name: &str, definition: &Json) {
    page.push_str(&format!("## {name}\n\n"));
    if let Some(what) = definition["description"].as_str() {
        page.push_str(&format!("{}\n\n", flat(what)));
    }
    if let Some(keys) = definition["properties"].as_object() {
        let required =
            |key: &str| definition["required"].as_array().is_some_and(|names| names.iter().any(|name| name == key));
        let shown = |key: &String| if required(key) { format!("**`{key}`**") } else { format!("`{key}`") };
        table(page, "key", keys.iter().map(|(key, value)| (shown(key), described(value))));
    } else if let Some(kinds) = definition["oneOf"].as_array() {
        table(page, "value", kinds.iter().map(kind));
    } else if let Some(pattern) = definition["pattern"].as_str() {
        page.push_str(&format!("Text of the form `{pattern}`.\n\n"));
    }
}

/// One of several kinds of value: a word, or a map with one key.
fn kind(kind: &Json) -> (String, String) {
    let what = kind["description"].as_str().map(flat).unwrap_or_default();
    if let Some(word) = kind["const"].as_str() {
        return (format!("`{word}`"), what);
    }
    let keys = kind["properties"].as_object().map(Map::iter).into_iter().flatten();
    let keys: Vec<String> = keys.map(|(key, value)| format!("`{key}:` {}", type_of(value))).collect();
    (keys.join(", "), what)
}

fn described(value: &Json) -> String {
    let what = value["description"].as_str().map(flat).unwrap_or_default();
    match type_of(value).as_str() {
        "" | "text" => what,
        type_name => format!("{what} *{type_name}*"),
    }
}

/// How a value is written, in a word.
fn type_of(value: &Json) -> String {
    if let Some(name) = value["$ref"].as_str().and_then(|path| path.rsplit('/').next()) {
        return name.to_owned();
    }
    if let Some(kinds) = value["anyOf"].as_array() {
        let names = kinds.iter().filter(|kind| kind["type"] != "null").map(type_of);
        return names.collect::<Vec<_>>().join(" or ");
    }
    let plain = match &value["type"] {
        Json::Array(names) => names.iter().find(|name| *name != "null").and_then(Json::as_str),
        other => other.as_str(),
    };
    match plain {
        Some("object") => format!("map of {}", type_of(&value["additionalProperties"])),
        Some("array") => format!("list of {}", type_of(&value["items"])),
        Some("string") => "text".to_owned(),
        Some(other) => other.to_owned(),
        None => String::new(),
    }
}

fn table(page: &mut String, head: &str, rows: impl Iterator<Item = (String, String)>) {
    page.push_str(&format!("| {head} | |\n|---|---|\n"));
    for (name, what) in rows {
        page.push_str(&format!("| {} | {} |\n", escaped(&name), escaped(&what)));
    }
    page.push('\n');
}

fn escaped(text: &str) -> String {
    text.replace('|', "\\|")
}

/// In one line.
fn flat(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::reference;

    #[test]
    fn the_page_has_keys_kinds_and_filters() {
        let page = reference();
        for line in [
            "| **`connector`** | Its name, as connections write it; the file's name without `.yaml`. |",
            "| `throttle` | The account is asked too much:",
            "| `by_key:` Telling or list of Telling | It speaks of rows by the value of their key. |",
            "| `lower` | in small letters |",
            "| `or_omit` | leaves the key out",
        ] {
            assert!(page.contains(line), "{line}\n{page}");
        }
    }
}
