//! The requests of a dry run, and the exchange of a try, worth reading: what is shown was masked before.

use serde_json::{Value, json};

use crate::connector::{Shown, Whom};
use crate::report::count;
use crate::run::sync::{Preview, Rehearsed, Step};

/// Items of a list, and lines of a text, that are shown to people; programs are told all.
const ITEMS: usize = 3;

/// What a sync would send, in order.
pub(super) fn rehearsal(preview: &Preview) -> String {
    let mut text = String::new();
    for one in &preview.rehearsal {
        let Rehearsed { action, rows, .. } = one;
        text.push_str(&format!("\n{} to {}: {action} {} rows\n", preview.sync, preview.connection, count(*rows)));
        for step in &one.steps {
            text.push_str(&match step {
                Step::Request(shown) => format!("\n{}", request(shown)),
                Step::File(path) => format!("\n  file {path}\n"),
                Step::Statement(sql) => format!("\n  {sql}\n"),
            });
        }
        if let Some(sample) = &one.sample {
            let values =
                sample.values.iter().map(|(name, value)| format!("{name}: {}", value.as_deref().unwrap_or("null")));
            text.push_str(&format!("  one row: {{{}}}\n", values.collect::<Vec<_>>().join(", ")));
        }
        if one.more > 0 {
            text.push_str(&format!("\n  … and about {} more\n", count(one.more)));
        }
        for (code, rows) in &one.rejected {
            text.push_str(&format!("  {} of the rows that were looked at would be rejected: {code}\n", count(*rows)));
        }
    }
    text
}

/// One request as it goes over the wire.
pub(super) fn request(shown: &Shown) -> String {
    let whom = match shown.whom {
        None => "",
        Some(Whom::Found) => ", for what is there",
        Some(Whom::Missing) => ", for what is not there",
    };
    let mut text = format!("  {} {}    ({}{whom})\n", shown.method, shown.url, shown.operation);
    for (name, value) in &shown.headers {
        text.push_str(&format!("  {name}: {value}\n"));
    }
    if !shown.body.is_empty() {
        text.push_str(&format!("\n{}\n", body(&shown.body)));
    }
    text
}

/// A body, set out; long lists and texts are cut, which `…` says.
pub(super) fn body(body: &str) -> String {
    let text = match serde_json::from_str::<Value>(body) {
        Ok(value) => {
            let mut out = String::new();
            set_out(&value, 0, &mut out);
            out
        }
        Err(_) => {
            let mut lines: Vec<String> = body.lines().take(ITEMS + 1).map(str::to_owned).collect();
            let rest = body.lines().count().saturating_sub(lines.len());
            if rest > 0 {
                lines.push(format!("… {} more", count(rest as u64)));
            }
            lines.join("\n")
        }
    };
    text.lines().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
}

fn set_out(value: &Value, depth: usize, out: &mut String) {
    let indent = |depth: usize| "  ".repeat(depth);
    let is_flat = |value: &Value| !matches!(value, Value::Array(_) | Value::Object(_));
    match value {
        Value::Array(items) if !items.is_empty() => {
            let more = items.len().saturating_sub(ITEMS);
            let mut lines: Vec<String> = Vec::new();
            for item in items.iter().take(ITEMS) {
                let mut line = String::new();
                set_out(item, depth + 1, &mut line);
                lines.push(line);
            }
            let more = (more > 0).then(|| format!("… {} more", count(more as u64)));
            if items.iter().all(is_flat) {
                lines.extend(more);
                out.push_str(&format!("[{}]", lines.join(", ")));
            } else {
                let inner = indent(depth + 1);
                let more = more.map(|more| format!("\n{inner}{more}")).unwrap_or_default();
                let lines: Vec<String> = lines.into_iter().map(|line| format!("{inner}{line}")).collect();
                out.push_str(&format!("[\n{}{more}\n{}]", lines.join(",\n"), indent(depth)));
            }
        }
        Value::Object(entries) if !entries.is_empty() => {
            let entry = |(name, value): (&String, &Value)| {
                let mut line = format!("{}: ", Value::from(name.as_str()));
                set_out(value, depth + 1, &mut line);
                line
            };
            let lines: Vec<String> = entries.iter().map(entry).collect();
            if entries.values().all(is_flat) && lines.iter().map(|line| line.len() + 2).sum::<usize>() < 100 {
                out.push_str(&format!("{{{}}}", lines.join(", ")));
            } else {
                let inner = indent(depth + 1);
                let lines: Vec<String> = lines.into_iter().map(|line| format!("{inner}{line}")).collect();
                out.push_str(&format!("{{\n{}\n{}}}", lines.join(",\n"), indent(depth)));
            }
        }
        other => out.push_str(&other.to_string()),
    }
}

/// The same for programs: a line per step, then one per action.
pub(super) fn rehearsal_json(preview: &Preview) -> Vec<Value> {
    let mut lines = Vec::new();
    for one in &preview.rehearsal {
        for step in &one.steps {
            let mut line = match step {
                Step::Request(shown) => request_json(shown),
                Step::File(path) => json!({"kind": "request", "file": path}),
                Step::Statement(sql) => json!({"kind": "request", "statement": sql}),
            };
            line["sync"] = json!(preview.sync);
            line["action"] = json!(one.action);
            lines.push(line);
        }
        let value = |(name, value): &(String, Option<String>)| (name.clone(), json!(value));
        let sample = one.sample.as_ref().map(|sample| sample.values.iter().map(value).collect::<Value>());
        lines.push(json!({
            "kind": "requests", "sync": preview.sync, "action": one.action, "rows": one.rows, "more": one.more,
            "rejected": one.rejected, "row": sample,
        }));
    }
    lines
}

/// One request for programs.
pub(super) fn request_json(shown: &Shown) -> Value {
    let whom = shown.whom.map(|whom| match whom {
        Whom::Found => "found",
        Whom::Missing => "missing",
    });
    let headers: serde_json::Map<String, Value> =
        shown.headers.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
    json!({
        "kind": "request", "operation": shown.operation, "whom": whom, "method": shown.method, "url": shown.url,
        "headers": headers, "body": body_json(&shown.body),
    })
}

/// A body as what it is: JSON, else text; nothing is null.
pub(super) fn body_json(body: &str) -> Value {
    if body.is_empty() { Value::Null } else { serde_json::from_str(body).unwrap_or_else(|_| json!(body)) }
}

#[cfg(test)]
mod tests {
    use super::body;

    #[test]
    fn bodies_are_set_out_and_long_lists_are_cut() {
        let text = r#"{"inputs":[{"id":1},{"id":2},{"id":3},{"id":4},{"id":5}],"ids":["a","b","c","d"],"none":[]}"#;
        let set_out = [
            "  {",
            r#"    "inputs": ["#,
            r#"      {"id": 1},"#,
            r#"      {"id": 2},"#,
            r#"      {"id": 3}"#,
            "      … 2 more",
            "    ],",
            r#"    "ids": ["a", "b", "c", … 1 more],"#,
            r#"    "none": []"#,
            "  }",
        ];
        assert_eq!(body(text), set_out.join("\n"));
        assert_eq!(body("a,b\n1,2\n3,4\n5,6\n7,8\n"), "  a,b\n  1,2\n  3,4\n  5,6\n  … 1 more");
    }
}
