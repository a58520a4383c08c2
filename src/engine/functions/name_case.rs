//! The capitals of names, as French and its neighbours write them.

/// Which part of a name is written: particles begin family names, not given names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// `Marie de Lourdes`: particles only in the middle.
    Given,
    /// `de Gaulle`: particles at the beginning too.
    Family,
}

/// Words that stay small when another follows. Articles (`Le Gall`, `de La Fontaine`) are not among them.
const PARTICLES: [&str; 24] = [
    "da", "das", "de", "degli", "del", "della", "den", "der", "des", "di", "do", "dos", "du", "e", "i", "ten", "ter",
    "van", "von", "und", "y", "zu", "zum", "zur",
];

/// The words of a tidy name with the capitals that they take. A word that was typed with capitals inside
/// (`MacDonald`, `LeBron`) is left alone: its author knew.
pub(super) fn title_case(text: &str, part: Part) -> String {
    let mut result = String::with_capacity(text.len());
    let mut first = true;
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find([' ', '-']).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        let may_be_particle = !after.trim_matches([' ', '-']).is_empty() && (part == Part::Family || !first);
        let lower = word.to_lowercase();
        if may_be_particle && PARTICLES.contains(&lower.as_str()) {
            result.push_str(&lower);
        } else {
            push_word(&mut result, word, &lower, part);
        }
        first = first && word.is_empty();
        let mut separator = after.chars();
        if let Some(separator) = separator.next() {
            result.push(separator);
        }
        rest = separator.as_str();
    }
    result
}

/// A word between spaces and hyphens: each piece between apostrophes begins with a capital, but `d'` of family names.
fn push_word(result: &mut String, word: &str, lower: &str, part: Part) {
    if part == Part::Family && lower.len() > 2 && lower.starts_with("d'") {
        result.push_str("d'");
        let (rest, rest_lower) = (word.get(2..).unwrap_or_default(), lower.get(2..).unwrap_or_default());
        return push_word(result, rest, rest_lower, Part::Given);
    }
    for (index, piece) in word.split('\'').enumerate() {
        if index > 0 {
            result.push('\'');
        }
        push_capitalised(result, piece);
    }
}

fn push_capitalised(result: &mut String, piece: &str) {
    let mut chars = piece.chars();
    let Some(initial) = chars.next() else { return };
    let tail = chars.as_str();
    let typed_with_care = initial.is_uppercase()
        && tail.chars().any(char::is_uppercase)
        && tail.chars().any(char::is_lowercase)
        && tail.chars().next().is_some_and(char::is_lowercase);
    if typed_with_care {
        result.push_str(piece);
        return;
    }
    // Title case of one letter; those that become several (`ß`, `ŉ`) stay as they are.
    let mut upper = initial.to_uppercase();
    match (upper.next(), upper.next()) {
        (Some(capital), None) => result.push(capital),
        _ => result.push(initial),
    }
    let mut tail = tail.to_lowercase();
    if initial.eq_ignore_ascii_case(&'m')
        && tail.strip_prefix('c').and_then(|after| after.chars().next()).is_some_and(|c| c.is_ascii_lowercase())
        && tail.len() >= 3
    {
        tail[1..2].make_ascii_uppercase();
    }
    result.push_str(&tail);
}
