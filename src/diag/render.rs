//! How findings and failures look: text for people, with the line and the span underlined, and JSON lines for programs.
//!
//! The text is understandable without colour. Slices of the user's files are made visible, never obeyed: control
//! characters of a file cannot reach the terminal.

use std::ops::Range;

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{
    Annotation, AnnotationKind, Group, Level, Message, Renderer, Snippet, Title, normalize_untrusted_str,
};
use serde_json::{Value, json};

use super::{Failure, Finding, Severity};
use crate::text::{FileId, Files, SourceFile, Span};

/// How text for people is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// With ANSI colours?
    pub colour: bool,
    /// Width of the terminal in columns; longer lines are cut around what is underlined.
    pub width: usize,
}

impl Default for Look {
    fn default() -> Self {
        Self { colour: false, width: 140 }
    }
}

/// One finding as text, without a newline at its end.
#[must_use]
pub fn finding_text(files: &Files, finding: &Finding, look: Look) -> String {
    let level = match finding.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let mut group = level.primary_title(finding.message.as_str()).id(finding.code).elements(snippets(files, finding));
    if let Some(help) = &finding.help {
        group = group.element(message(Level::HELP, help));
    }
    draw(group, look)
}

/// All findings as text, each followed by an empty line, and the summary at the end. Empty without findings.
#[must_use]
pub fn findings_text(files: &Files, findings: &[Finding], look: Look) -> String {
    let mut text = String::new();
    for finding in findings {
        text.push_str(&finding_text(files, finding, look));
        text.push_str("\n\n");
    }
    if !findings.is_empty() {
        text.push_str(&summary(findings));
        text.push('\n');
    }
    text
}

/// How many of each: `3 errors, 1 warning`; `no findings` without any.
#[must_use]
pub fn summary(findings: &[Finding]) -> String {
    let n_errors = findings.iter().filter(|finding| finding.severity == Severity::Error).count();
    let n_warnings = findings.len() - n_errors;
    let parts: Vec<String> = [(n_errors, "error"), (n_warnings, "warning")]
        .into_iter()
        .filter(|(n, _)| *n > 0)
        .map(|(n, noun)| format!("{n} {noun}{}", if n == 1 { "" } else { "s" }))
        .collect();
    if parts.is_empty() { "no findings".to_owned() } else { parts.join(", ") }
}

/// A failure as text, without a newline at its end: what was being done, why it failed, what to do next.
#[must_use]
pub fn failure_text(failure: &Failure, look: Look) -> String {
    let title: Title<'_> = Level::ERROR.primary_title(format!("{} failed", failure.doing)).id(failure.code);
    let mut group = title.element(message(Level::NOTE.with_name("cause"), &failure.cause));
    if !failure.help.is_empty() {
        group = group.element(message(Level::HELP, &failure.help));
    }
    draw(group, look)
}

/// A finding as one JSON object. Lines and columns count from 1, columns in characters; the end is exclusive.
#[must_use]
pub fn finding_json(files: &Files, finding: &Finding) -> Value {
    let mut object = json!({
        "kind": "finding",
        "severity": match finding.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        },
        "code": finding.code,
        "message": finding.message,
    });
    if let Value::Object(fields) = &mut object {
        fields.extend(place(files, finding.span));
        fields.insert("label".to_owned(), json!(finding.label));
        fields.insert("help".to_owned(), json!(finding.help));
        let others = finding.others.iter().map(|other| {
            let mut fields = place(files, Some(other.span));
            fields.insert("label".to_owned(), json!(other.text));
            Value::Object(fields)
        });
        fields.insert("others".to_owned(), Value::Array(others.collect()));
    }
    object
}

/// A failure as one JSON object.
#[must_use]
pub fn failure_json(failure: &Failure) -> Value {
    json!({
        "kind": "failure",
        "code": failure.code,
        "message": failure.to_string(),
        "doing": failure.doing,
        "cause": failure.cause,
        "help": if failure.help.is_empty() { Value::Null } else { json!(failure.help) },
        "exit_code": failure.exit_code(),
    })
}

fn place(files: &Files, span: Option<Span>) -> serde_json::Map<String, Value> {
    let mut fields = serde_json::Map::new();
    let mut put = |name: &str, value: Value| fields.insert(name.to_owned(), value);
    match span.map(|span| (files.get(span.file), span)) {
        Some((file, span)) => {
            let ((line, column), (end_line, end_column)) =
                (file.line_column(span.start), file.line_column(span.end.max(span.start)));
            put("file", json!(file.path));
            put("line", json!(line));
            put("column", json!(column));
            put("end_line", json!(end_line));
            put("end_column", json!(end_column));
        }
        None => {
            for name in ["file", "line", "column", "end_line", "end_column"] {
                put(name, Value::Null);
            }
        }
    }
    fields
}

/// The places of a finding, one snippet per file, the file that is at fault first.
fn snippets<'a>(files: &'a Files, finding: &'a Finding) -> Vec<Snippet<'a, Annotation<'a>>> {
    let primary = finding.span.map(|span| (span, AnnotationKind::Primary, finding.label.as_str()));
    let others = finding.others.iter().map(|other| (other.span, AnnotationKind::Context, other.text.as_str()));
    let mut by_file: Vec<(FileId, Vec<_>)> = Vec::new();
    for annotation in primary.into_iter().chain(others) {
        let file = annotation.0.file;
        match by_file.iter_mut().find(|(id, _)| *id == file) {
            Some((_, annotations)) => annotations.push(annotation),
            None => by_file.push((file, vec![annotation])),
        }
    }
    let mut snippets = Vec::new();
    for (id, annotations) in by_file {
        let file = files.get(id);
        let ranges: Vec<Range<usize>> = annotations.iter().map(|(span, ..)| visible_range(file, *span)).collect();
        let lines = lines_around(&file.text, &ranges);
        let source = &file.text[lines.clone()];
        let first_line = file.text[..lines.start].matches('\n').count() + 1;
        let mut snippet = Snippet::source(source).path(file.path.as_str()).line_start(first_line);
        for ((_, kind, label), range) in annotations.into_iter().zip(ranges) {
            let annotation = kind.span(range.start - lines.start..range.end - lines.start);
            let label = (!label.is_empty()).then(|| normalize_untrusted_str(label));
            snippet = snippet.annotation(annotation.label(label));
        }
        snippets.push(snippet);
    }
    snippets
}

/// The bytes of a span, brought inside the text and onto the borders of characters; line ends behind it are left out.
fn visible_range(file: &SourceFile, span: Span) -> Range<usize> {
    let border = |offset: u32| {
        let mut offset = (offset as usize).min(file.text.len());
        while !file.text.is_char_boundary(offset) {
            offset -= 1;
        }
        offset
    };
    let (start, end) = (border(span.start), border(span.end));
    let text = file.text.get(start..end).unwrap_or_default();
    start..start + text.trim_end_matches(['\n', '\r']).len()
}

/// The whole lines that hold all the ranges: drawing looks at no more of the file than this.
fn lines_around(text: &str, ranges: &[Range<usize>]) -> Range<usize> {
    let start = ranges.iter().map(|range| range.start).min().unwrap_or(0);
    let end = ranges.iter().map(|range| range.end).max().unwrap_or(0);
    let line_start = text[..start].rfind('\n').map_or(0, |newline| newline + 1);
    let line_end = text[end..].find('\n').map_or(text.len(), |newline| end + newline);
    line_start..line_end
}

fn message<'a>(level: Level<'a>, text: &str) -> Message<'a> {
    level.message(normalize_untrusted_str(text))
}

fn draw(group: Group<'_>, look: Look) -> String {
    let renderer = if look.colour { Renderer::styled() } else { Renderer::plain() };
    renderer.term_width(look.width).decor_style(DecorStyle::Ascii).render(&[group])
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;
    use proptest::prelude::*;

    use super::*;

    const MODEL: &str = "segments:\n  hot:\n    when: \"contry = 'FR'\"\n  cold:\n    when: \"not hot\"\n";

    fn span(files: &Files, text: &str) -> Span {
        let (file, source) = files.iter().find(|(_, source)| source.text.contains(text)).unwrap();
        let start = source.text.find(text).unwrap();
        Span { file, start: start as u32, end: (start + text.len()) as u32 }
    }

    fn project() -> Files {
        let mut files = Files::default();
        files.add("models/segments.yaml", MODEL);
        files.add("models/traits.yaml", "traits:\n  country: {mode: orders.country}\n");
        files
    }

    fn unknown_column(files: &Files) -> Finding {
        Finding::error("E101", "`contry` is not a column of `customer`")
            .at(span(files, "contry"))
            .label("unknown column")
            .help("did you mean `country`?")
    }

    #[test]
    fn a_finding_underlines_its_span_and_says_what_to_do() {
        let files = project();
        assert_snapshot!(finding_text(&files, &unknown_column(&files), Look::default()), @r#"
        error[E101]: `contry` is not a column of `customer`
         --> models/segments.yaml:3:12
          |
        3 |     when: "contry = 'FR'"
          |            ^^^^^^ unknown column
          |
          = help: did you mean `country`?
        "#);
    }

    #[test]
    fn other_places_are_shown_in_their_own_files() {
        let files = project();
        let finding = Finding::warning("E102", "`hot` is never used")
            .at(span(&files, "hot:"))
            .also(span(&files, "cold"), "its neighbour")
            .also(span(&files, "country:"), "a trait");
        assert_snapshot!(finding_text(&files, &finding, Look::default()), @r#"
        warning[E102]: `hot` is never used
         --> models/segments.yaml:2:3
          |
        2 |   hot:
          |   ^^^^
        3 |     when: "contry = 'FR'"
        4 |   cold:
          |   ---- its neighbour
          |
         ::: models/traits.yaml:2:3
          |
        2 |   country: {mode: orders.country}
          |   -------- a trait
        "#);
    }

    #[test]
    fn a_list_ends_with_a_summary() {
        let files = project();
        let findings =
            [Finding::error("E103", "there is no `warehouse.yaml`"), Finding::warning("E104", "empty project")];
        assert_snapshot!(findings_text(&files, &findings, Look::default()), @r"
        error[E103]: there is no `warehouse.yaml`

        warning[E104]: empty project

        1 error, 1 warning
        ");
        assert_eq!(findings_text(&files, &[], Look::default()), "");
        assert_eq!(summary(&[]), "no findings");
        assert_eq!(summary(&[findings[0].clone(), findings[0].clone()]), "2 errors");
    }

    #[test]
    fn a_failure_names_its_cause_and_the_next_step() {
        let failure = Failure::world("W201", "reading the source `orders`", "no such file\nlooked in `raw/orders`")
            .help("run `cohorte load orders FILE`");
        assert_snapshot!(failure_text(&failure, Look::default()), @r"
        error[W201]: reading the source `orders` failed
         |
         = cause: no such file
                  looked in `raw/orders`
         = help: run `cohorte load orders FILE`
        ");
        assert_eq!(failure_json(&failure)["exit_code"], 2);
        assert_eq!(failure_json(&Failure::world("W201", "x", "y"))["help"], Value::Null);
    }

    #[test]
    fn json_gives_places_and_nulls_where_there_is_none() {
        let files = project();
        let object = finding_json(&files, &unknown_column(&files));
        assert_snapshot!(object.to_string(), @r#"{"kind":"finding","severity":"error","code":"E101","message":"`contry` is not a column of `customer`","file":"models/segments.yaml","line":3,"column":12,"end_line":3,"end_column":18,"label":"unknown column","help":"did you mean `country`?","others":[]}"#);
        let bare = finding_json(&files, &Finding::warning("E104", "empty project"));
        assert_eq!((&bare["file"], &bare["line"], &bare["severity"]), (&Value::Null, &Value::Null, &json!("warning")));
    }

    #[test]
    fn colour_adds_nothing_but_colour() {
        let files = project();
        let finding = unknown_column(&files);
        let coloured = finding_text(&files, &finding, Look { colour: true, ..Look::default() });
        assert!(coloured.contains("\u{1b}["));
        let mut bare = String::new();
        let mut rest = coloured.as_str();
        while let Some((before, after)) = rest.split_once('\u{1b}') {
            bare.push_str(before);
            rest = after.split_once('m').unwrap().1;
        }
        bare.push_str(rest);
        assert_eq!(bare, finding_text(&files, &finding, Look::default()));
    }

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        let mut files = Files::default();
        let file = files.add("models/a.yaml", "name: \u{1b}[31mred\u{7}\n");
        let finding = Finding::error("E101", "a \u{1b}[2J message")
            .at(Span { file, start: 6, end: 15 })
            .label("here \u{1b}[1m")
            .help("remove \u{1b}");
        assert!(!finding_text(&files, &finding, Look::default()).contains(['\u{1b}', '\u{7}']));
    }

    proptest! {
        #[test]
        fn any_span_of_any_text_can_be_drawn(
            text in "[a-zé漢\t\r\n\u{0}\u{200d}🎉 ]{0,40}",
            spans in prop::collection::vec((0_u32..60, 0_u32..60), 1..4),
            width in 0_usize..60,
        ) {
            let mut files = Files::default();
            let file = files.add("a.yaml", text);
            let mut finding = Finding::error("E101", "message");
            for (index, (start, end)) in spans.into_iter().enumerate() {
                let span = Span { file, start, end };
                finding = if index == 0 { finding.at(span) } else { finding.also(span, "other") };
            }
            let look = Look { colour: false, width };
            prop_assert!(!finding_text(&files, &finding, look).is_empty());
            prop_assert!(finding_json(&files, &finding)["line"].is_u64());
        }
    }
}
