//! No text whatever makes reading, resolving or rendering panic.

use proptest::prelude::*;

use super::base::{MODELS, WAREHOUSE, check, run};

/// Everything is done with what was found, too.
fn survives(checked: &super::base::Checked) {
    let _ = checked.text();
    let _ = checked.lines();
    for finding in &checked.findings {
        let _ = crate::diag::render::finding_json(&checked.files, finding);
        assert!(crate::diag::codes::page(finding.code).is_some(), "{} has no page", finding.code);
    }
}

/// Bytes of a text are dropped, doubled or replaced; what is no text then is made text.
fn garbled(text: &str, changes: &[(usize, u8, u8)]) -> String {
    let mut bytes = text.as_bytes().to_vec();
    for &(place, kind, byte) in changes {
        if bytes.is_empty() {
            break;
        }
        let at = place % bytes.len();
        match kind % 5 {
            0 => drop(bytes.remove(at)),
            1 => bytes.insert(at, bytes[at]),
            2 => bytes[at] = byte,
            3 => bytes.truncate(at),
            _ => {
                let end = (at + usize::from(byte)).min(bytes.len());
                let part = bytes[at..end].to_vec();
                let to = (at * 7) % bytes.len();
                bytes.splice(to..to, part);
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Tokens that mean something, in an order that does not.
fn tokens() -> impl Strategy<Value = String> {
    let token = prop::sample::select(vec![
        "revenue",
        "country",
        "(",
        ")",
        "'",
        "\"",
        ",",
        " ",
        "+",
        "-",
        "and",
        "not",
        "case",
        "when",
        "end",
        "then",
        "is",
        "null",
        "in",
        "between",
        "like",
        "cast",
        "as",
        "date",
        "interval",
        "'1'",
        "3",
        "1e9",
        "::",
        "->>",
        "now()",
        "é",
        "extract",
        "from",
        "select",
        "at time zone",
        "\n",
        ".",
        "*",
        "$1",
        "array[",
        "]",
        "{",
        "}",
        "over",
        "--",
        "/*",
        "substring",
        "position",
        "trim",
        "date_part",
        "coalesce",
        "E'\\",
        "U&'",
        "x'",
        "1.",
        "..",
        "|",
        ":",
        "%",
        "@",
    ]);
    prop::collection::vec(token, 0..24).prop_map(|tokens| tokens.join(" "))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text(warehouse in any::<String>(), models in any::<String>()) {
        survives(&run(&[("warehouse.yaml", &warehouse), ("models/a.yaml", &models)], Some("x")));
        survives(&run(&[("warehouse.yaml", WAREHOUSE), ("models/a.yaml", &models)], None));
    }

    #[test]
    fn text_that_looks_like_yaml(models in "[a-z :{}\\[\\]'\"|>\\-#\\n,&*?!%@`~0-9\\$é]{0,200}") {
        survives(&run(&[("warehouse.yaml", WAREHOUSE), ("models/a.yaml", &models)], None));
    }

    #[test]
    fn projects_with_garbled_bytes(changes in prop::collection::vec((any::<usize>(), any::<u8>(), any::<u8>()), 1..6), in_models in any::<bool>()) {
        if in_models {
            survives(&check(&[("models/base.yaml", &garbled(MODELS, &changes))]));
        } else {
            survives(&check(&[("warehouse.yaml", &garbled(WAREHOUSE, &changes))]));
        }
    }

    #[test]
    fn any_sql(sql in prop_oneof![any::<String>(), tokens()], style in 0..3usize) {
        let quoted = match style {
            0 => format!("'{}'", sql.replace('\'', "''")),
            1 => format!("\"{}\"", sql.replace('\\', "\\\\").replace('"', "\\\"")),
            _ => format!("|\n      {}", sql.replace('\n', "\n      ")),
        };
        survives(&check(&[("models/a.yaml", &format!("segments:\n  a:\n    when: {quoted}\n"))]));
        survives(&check(&[("models/a.yaml", &format!("syncs:\n  a:\n    to: {{connection: drop}}\n    from:\n     sql: {quoted}\n"))]));
    }
}
