//! Where a part of a scalar's value is written. Quotes, escapes, indentation, folding and replaced references make the
//! text of the file differ from the value that was read from it.

use std::ops::Range;

use super::span::Span;

/// The place in the file of the bytes `part` of `value`, which was read from the scalar at `span` of `text`.
///
/// White space is what folding and indentation change, so the text and the value are compared without it: their other
/// characters correspond one to one. Where `${…}` was replaced, what surrounds it is found; what is inside is placed at
/// the reference.
#[must_use]
pub fn part_of_scalar(text: &str, span: Span, value: &str, part: Range<usize>) -> Span {
    let Some(written) = text.get(span.start as usize..span.end as usize) else { return span };
    let written = characters(written);
    let valued: Vec<char> = value.chars().filter(|character| !character.is_whitespace()).collect();
    // The part's first and last visible characters, as numbers among the visible ones.
    let visible_before =
        |end: usize| value.char_indices().filter(|(at, found)| *at < end && !found.is_whitespace()).count();
    let (first, after) = (visible_before(part.start), visible_before(part.end));
    let aligned = align(&written, &valued);
    let place = |index: usize| aligned.get(index).map(|&(from, to)| (written[from].start, written[to].end));
    let at = |byte: usize| span.start + byte as u32;
    if after > first
        && let (Some((start, _)), Some((_, end))) = (place(first), place(after - 1))
    {
        return Span { start: at(start), end: at(end), ..span };
    }
    // Nothing visible: the place after the character before, which is where a parser missed something.
    let Some((_, end)) = first.checked_sub(1).and_then(place) else { return span };
    Span { start: at(end), end: at(end), ..span }
}

/// A visible character of a value, and the bytes of the scalar that write it.
#[derive(Debug, Clone, Copy)]
struct Written {
    character: char,
    start: usize,
    end: usize,
}

/// The visible characters of a scalar as written, without its quotes or its header.
fn characters(scalar: &str) -> Vec<Written> {
    let (body, escape) = match scalar.chars().next() {
        Some('\'') => (1, Some('\'')),
        Some('"') => (1, Some('\\')),
        Some('|' | '>') => (scalar.find('\n').map_or(scalar.len(), |newline| newline + 1), None),
        _ => (0, None),
    };
    let closing = if escape.is_some() && scalar.len() > 1 { scalar.len() - 1 } else { scalar.len() };
    let mut found = Vec::new();
    let mut rest = scalar.get(body..closing).unwrap_or_default().char_indices();
    while let Some((at, character)) = rest.next() {
        let start = body + at;
        let character = match escape {
            Some('\'') if character == '\'' => rest.next().map_or('\'', |(_, second)| second),
            Some('\\') if character == '\\' => escaped(&mut rest),
            _ => character,
        };
        if !character.is_whitespace() {
            found.push(Written { character, start, end: body + rest.offset() });
        }
    }
    found
}

/// The character of an escape in double quotes, of which the backslash was read.
fn escaped(rest: &mut std::str::CharIndices<'_>) -> char {
    let Some((_, letter)) = rest.next() else { return '\\' };
    let digits = match letter {
        'x' => 2,
        'u' => 4,
        'U' => 8,
        // Escapes of what cannot be seen.
        't' | 'n' | 'r' | 'v' | 'f' | 'N' | '_' | 'L' | 'P' => return ' ',
        '0' => return '\0',
        'a' => return '\u{7}',
        'b' => return '\u{8}',
        'e' => return '\u{1b}',
        other => return other,
    };
    let code = rest
        .by_ref()
        .take(digits)
        .fold(0u32, |code, (_, digit)| code.wrapping_mul(16).wrapping_add(digit.to_digit(16).unwrap_or_default()));
    char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER)
}

/// For each visible character of the value, the written characters that stand for it: itself, or a whole `${…}`.
fn align(written: &[Written], value: &[char]) -> Vec<(usize, usize)> {
    let mut aligned = Vec::with_capacity(value.len());
    let mut at = 0;
    while at < written.len() && aligned.len() < value.len() {
        let reference = reference_end(written, at);
        if written[at].character == value[aligned.len()] && reference.is_none() {
            aligned.push((at, at));
            at += 1;
            continue;
        }
        // A reference, replaced by as much of the value as comes before what follows it.
        let end = reference.unwrap_or(at);
        let next_reference = (end + 1..written.len()).find(|index| reference_end(written, *index).is_some());
        let follows = &written[end + 1..next_reference.unwrap_or(written.len())];
        let left = &value[aligned.len()..];
        let taken = match (follows.is_empty(), next_reference) {
            (true, _) => left.len(),
            (false, None) => left.len().saturating_sub(follows.len()),
            (false, Some(_)) => left
                .windows(follows.len())
                .position(|window| window.iter().zip(follows).all(|(found, wanted)| *found == wanted.character))
                .unwrap_or(left.len()),
        };
        aligned.extend(std::iter::repeat_n((at, end), taken));
        at = end + 1;
    }
    aligned
}

/// The last character of a `${…}` that begins here.
fn reference_end(written: &[Written], at: usize) -> Option<usize> {
    let begins = written[at].character == '$' && written.get(at + 1).is_some_and(|next| next.character == '{');
    begins.then(|| written[at..].iter().position(|found| found.character == '}').map(|length| at + length)).flatten()
}

#[cfg(test)]
mod tests {
    use super::super::span::FileId;
    use super::super::yaml::{Value, parse};
    use super::*;

    /// What is found in the file for a word of the value under `a`.
    fn written<'a>(text: &'a str, word: &str) -> &'a str {
        let root = parse(FileId(0), text).unwrap().root;
        let node = root.get("a").unwrap();
        let Value::Text(value) = &node.value else { panic!("text") };
        let start = value.find(word).unwrap();
        let span = part_of_scalar(text, node.span, value, start..start + word.len());
        &text[span.start as usize..span.end as usize]
    }

    #[test]
    fn parts_are_found_in_every_style() {
        for text in [
            "a: it is bad, é bad2",
            "a: 'it is bad, é bad2'",
            "a: \"it is bad, é bad2\"",
            "é: x\na: |\n  it is\n\n  bad,\n   é bad2\n",
            "a: >-\n  it is\n  bad, é\n  bad2",
            "a: > # folded, bad\n  it is\n  bad, é bad2\n",
            "{é: à, a: 'it is bad, é bad2', b: c}",
            "a: it is\n  bad,\n  é bad2",
        ] {
            for word in ["bad,", "é", "bad2"] {
                assert_eq!(written(text, word), word, "{text}");
            }
        }
    }

    #[test]
    fn escapes_are_stepped_over() {
        assert_eq!(written("a: '''x'' is bad'", "'x'"), "''x''");
        assert_eq!(written("a: '''x'' is bad'", "bad"), "bad");
        assert_eq!(written(r#"a: "\"x\" is\tbad""#, "\"x\""), r#"\"x\""#);
        assert_eq!(written(r#"a: "\"x\" is\tbad""#, "bad"), "bad");
        assert_eq!(written(r#"a: "\u00e9 \x41\U0001F600 bad""#, "bad"), "bad");
        assert_eq!(written(r#"a: "\u00e9 \x41 bad""#, "é"), r"\u00e9");
        assert_eq!(written("a: \"x \\\n   y bad\"", "bad"), "bad");
    }

    #[test]
    fn what_was_replaced_is_at_its_reference() {
        let text = "a: \"x = '${vars.x}' and ${vars.yy} > bad\"";
        let root = parse(FileId(0), text).unwrap().root;
        let span = root.get("a").unwrap().span;
        let value = "x = 'a } b' and revenue > bad";
        for (word, expected) in
            [("x", "x"), ("bad", "bad"), ("revenue", "${vars.yy}"), ("and", "and"), ("}", "${vars.x}")]
        {
            let start = value.find(word).unwrap();
            let found = part_of_scalar(text, span, value, start..start + word.len());
            assert_eq!(&text[found.start as usize..found.end as usize], expected, "{word}");
        }
    }

    #[test]
    fn nothing_is_placed_after_what_stands_before_it() {
        let text = "a: 'x >   '";
        let span = Span { start: 3, end: text.len() as u32, ..Span::default() };
        let found = part_of_scalar(text, span, "x >   ", 6..6);
        assert_eq!((found.start, found.end), (7, 7));
    }
}
