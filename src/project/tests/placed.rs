//! What is wrong inside SQL is underlined where it is written in the YAML, however that is spelt.

use super::base::added;

/// Each file has one unknown column, `revenu`; it is what is underlined.
#[test]
fn unknown_names_are_underlined_in_every_spelling() {
    for text in [
        "segments:\n  a: {when: revenu > 1}",
        "segments:\n  a: {when: 'country = ''revenu''  and revenu > 1'}",
        "segments:\n  a: {when: \"country = \\\"country\\\" and \\\"revenu\\\" > 1\"}",
        "segments:\n  a: {when: \"country = '\\u00e9\\t' and revenu > 1\"}",
        "segments:\n  a: {description: \"é à 漢字\", when: \"country = 'é 漢字 👩‍👩‍👧' and revenu > 1\"}",
        "# é 漢字\nsegments:\n  a:\n    when: |\n      country = 'é'\n        and\n\n        revenu > 1\n",
        "segments:\n  a:\n    when: >\n      country = 'é' and\n      revenu > 1\n",
        "segments:\n  a:\n    when: >-   # revenu in a comment\n      country = 'é' and\n        revenu > 1\n      and true\n",
        "segments:\n  a:\n    when: |2\n      country = 'é' and revenu > 1\n",
        "segments:\n  a:\n    when: country = 'FR'\n      and revenu > 1\n",
        "segments:\n  a:\n    when: \"country = 'FR' and \\\n      revenu > 1\"\n",
        "segments:\n  a: {when: {any: [\"country = 'FR'\", {not: \"revenu > 1\"}]}}",
        "{segments: {a: {when: {all: ['country = ''a''', 'revenu > 1']}}}}",
        "segments:\n  a: {when: \"country = '${vars.brand}' and revenu > 1\"}",
        "segments:\n  a: {when: \"country = '${vars.brand}' and revenu > 1 or first_name = '${vars.brand}'\"}",
        "segments:\r\n  a:\r\n    when: |\r\n      country = 'é'\r\n      and revenu > 1\r\n",
    ] {
        let checked = added(text);
        let expected = if text.contains("\\\"revenu\\\"") { "\\\"revenu\\\"" } else { "revenu" };
        checked.has("E202", expected, "");
        assert_eq!(checked.findings.len(), 1, "{}", checked.text());
    }
}

#[test]
fn syntax_errors_are_underlined_where_they_are() {
    let text = "segments:\n  a:\n    when: >\n      country = 'é'\n      and > 3\n";
    let checked = added(text);
    checked.only("E201", ">", "this is not valid SQL");
    let place = checked.findings[0].span.unwrap().start as usize;
    assert_eq!(place, text.rfind('>').unwrap());
    assert!(checked.text().contains("models/more.yaml:5:11"), "{}", checked.text());
}

#[test]
fn a_where_is_underlined_as_people_see_it() {
    let checked = added(
        "traits:\n  étés: {}\nsegments:\n  a:\n    when: {did: orders, where: \"statsu = 'paid' and amount > 'x'\"}\n",
    );
    insta::assert_snapshot!(checked.text());
}
