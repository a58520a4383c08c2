//! Trees and texts: what they become, and what is wrong with them.

use serde_json::json;

use super::*;
use crate::text::Span;

fn known() -> Vec<(&'static str, Vec<String>)> {
    vec![("row", vec!["key".to_owned(), "fields".to_owned()]), ("rows", Vec::new()), ("settings", Vec::new())]
}

fn tree(yaml: &str) -> Result<Tree, Vec<String>> {
    let mut files = crate::text::Files::default();
    let file = files.add("t.yaml", yaml);
    let root = crate::text::parse(file, yaml).unwrap().root;
    let written: Written = crate::text::decode(&root, &std::cell::RefCell::new(Vec::new())).unwrap();
    let mut findings = Findings::default();
    let tree = Tree::compile(&written, &known(), &mut findings);
    tree.ok_or_else(|| {
        let shown = |finding: Finding| format!("{} ({})", finding.message, finding.help.unwrap_or_default());
        findings.sorted().into_iter().map(shown).collect()
    })
}

fn written(yaml: &str) -> String {
    let row =
        json!({"key": {"email": "a\"b@x.fr"}, "fields": {"n": 3, "none": null, "list": [1, "é"], "day": "2026-01-02"}});
    let scope = Scope::of("row", &row);
    let mut out = Vec::new();
    match tree(yaml).unwrap().write(&scope, &[b"{\"a\":1}".to_vec(), b"2".to_vec()], &mut out) {
        Ok(_) => String::from_utf8(out).unwrap(),
        Err(broken) => broken.cause,
    }
}

#[test]
fn values_keep_their_types_and_cannot_break_out() {
    assert_eq!(
        written(r#"{a: "{{ row.fields.n }}", b: "n{{ row.fields.n }}", c: 1.5, d: true, e: null}"#),
        r#"{"a":3,"b":"n3","c":1.5,"d":true,"e":null}"#
    );
    assert_eq!(
        written(r#"["{{ row.key.email }}", "{{ row.fields.list }}", "<{{ row.key.email }}>"]"#),
        r#"["a\"b@x.fr",[1,"é"],"<a\"b@x.fr>"]"#
    );
    assert_eq!(written(r#"{members: "{{ rows }}"}"#), r#"{"members":[{"a":1},2]}"#);
}

#[test]
fn what_is_undefined_is_left_out_and_null_stays() {
    assert_eq!(
        written(
            r#"{a: "{{ row.fields.other }}", b: "{{ row.fields.none }}", c: "{{ row.fields.none | or_omit }}", d: 1}"#
        ),
        r#"{"b":null,"d":1}"#
    );
    assert_eq!(written(r#"["{{ row.fields.other }}", 1]"#), "[1]");
    assert_eq!(written(r#"["x{{ row.fields.other }}"]"#), "`row.fields.other` is null");
}

#[test]
fn expressions_compute() {
    assert_eq!(
        written(
            r#"["{{ row.fields.day | epoch_ms }}", "{{ row.key.email | upper | lower }}", "{{ {'a': {'b': row.fields.n}} }}"]"#
        ),
        r#"[1767312000000,"a\"b@x.fr",{"a":{"b":3}}]"#
    );
    assert_eq!(
        written(r#"["{{ row.key.email | number }}"]"#),
        "`row.key.email | number` could not be evaluated: its values do not fit"
    );
    assert_eq!(written(r#"["{{ 'yes' if row.fields.n > 2 else 'no' }}"]"#), r#"["yes"]"#);
}

#[test]
fn maps_are_cut_and_nothing_is_left_out() {
    let fields = "{{ row.fields | only('n', 'day') }}";
    assert_eq!(written(&format!("{{a: \"{fields}\"}}")), r#"{"a":{"day":"2026-01-02","n":3}}"#);
    assert_eq!(written(r#"{a: "{{ row.fields | only('other') | or_omit }}", b: "{{ [] | or_omit }}"}"#), "{}");
    assert_eq!(written(r#"{a: "{{ row.fields | only('n') | merge({'n': 4, 'm': 5}) }}"}"#), r#"{"a":{"m":5,"n":4}}"#);
}

#[test]
fn rows_are_sent_as_they_were_written_or_looked_into() {
    for (yaml, computes) in [
        (r#"["{{ rows }}"]"#, false),
        (r#"["any({{ rows }})"]"#, true),
        (r#"[{a: "{{ rows | length }}"}]"#, true),
        (r#"["{{ ['OR'] + rows }}"]"#, true),
    ] {
        let tree = tree(yaml).unwrap();
        assert!(tree.names_rows(), "{yaml}");
        assert_eq!(tree.computes_rows(), computes, "{yaml}");
    }
    let rows = json!(["a", "b"]);
    let mut out = Vec::new();
    let told = tree(r#"["any({{ rows }})", "{{ ['OR'] + rows }}"]"#).unwrap();
    told.write(&Scope::of("rows", &rows), &[], &mut out).unwrap();
    assert_eq!(String::from_utf8(out).unwrap(), r#"["any([\"a\",\"b\"])",["OR","a","b"]]"#);
}

#[test]
fn e151_expressions_that_mean_nothing() {
    let errors = |yaml: &str| tree(yaml).err().unwrap_or_default().join("; ");
    assert_eq!(errors(r#"["{{ rwo.key }}"]"#), "`rwo` refers to nothing here (did you mean `row`?)");
    assert_eq!(errors(r#"["{{ row.keys.email }}"]"#), "`row` has no `keys` (did you mean `row.key`?)");
    assert_eq!(errors(r#"["{{ row.key.email | lowr }}"]"#), "there is no filter `lowr` (did you mean `lower`?)");
    assert_eq!(errors(r#"["{{ row.key"]"#), "`{{` has no `}}` ()");
    assert!(errors(r#"["{{ row.key. }}"]"#).starts_with("the expression `row.key.` cannot be read"));
}

#[test]
fn texts_are_written_for_their_place() {
    let mut findings = Findings::default();
    let text = Located::new("/lists/{{ settings.list }}/x".to_owned(), Span::default());
    let template = Template::compile(&text, &known(), &mut findings).unwrap();
    let told = |value: Json, place| {
        let settings = json!({"list": value});
        template.text(&Scope::of("settings", &settings), place).map_err(|broken| broken.cause)
    };
    assert_eq!(told(json!("a/b c?"), Place::Path), Ok("/lists/a%2Fb%20c%3F/x".to_owned()));
    assert_eq!(told(json!(".."), Place::Path), Err("`settings.list` is no part of a path".to_owned()));
    assert_eq!(told(json!("a\r\nb"), Place::Header), Err("`settings.list` has control characters".to_owned()));
    assert_eq!(told(Json::Null, Place::Text), Err("`settings.list` is null".to_owned()));
}
