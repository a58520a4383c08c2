//! Patterns of identifiers that are nobody's: `*@example.com`, `noreply@*`.

/// Patterns in which `*` stands for any run of characters and everything else for itself, whatever its case.
#[derive(Debug, Clone)]
pub(super) struct Ignore {
    patterns: Vec<String>,
}

impl Ignore {
    pub(super) fn new(patterns: &[String]) -> Self {
        Self { patterns: patterns.iter().map(|pattern| pattern.to_lowercase()).collect() }
    }

    /// The first pattern that covers the whole value.
    pub(super) fn matching(&self, value: &str) -> Option<usize> {
        if self.patterns.is_empty() {
            return None;
        }
        let value = value.to_lowercase();
        self.patterns.iter().position(|pattern| matches(pattern, &value))
    }
}

/// The first part is a prefix, the last a suffix, and the parts between are found from left to right: no backtracking.
fn matches(pattern: &str, value: &str) -> bool {
    let Some((prefix, rest)) = pattern.split_once('*') else { return pattern == value };
    let Some(mut value) = value.strip_prefix(prefix) else { return false };
    let (middle, suffix) = rest.rsplit_once('*').unwrap_or(("", rest));
    for part in middle.split('*') {
        let Some(at) = value.find(part) else { return false };
        value = &value[at + part.len()..];
    }
    value.ends_with(suffix)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_anything() {
        let yes = [
            ("*@example.com", "a@example.com"),
            ("noreply@*", "noreply@"),
            ("a*b*c", "a-b-b-c"),
            ("*", ""),
            ("**", "x"),
        ];
        assert!(yes.iter().all(|(pattern, value)| matches(pattern, value)));
        let no = [
            ("*@example.com", "a@example.com.fr"),
            ("a*a", "a"),
            ("a*b*b", "a-b"),
            ("", "x"),
            ("x", "xx"),
            ("é*", "e"),
        ];
        assert!(no.iter().all(|(pattern, value)| !matches(pattern, value)));
    }

    #[test]
    fn case_does_not_matter() {
        let ignore = Ignore::new(&["0000*".into(), "*@Example.com".into()]);
        assert_eq!(ignore.matching("Ann@EXAMPLE.com"), Some(1));
        assert_eq!(ignore.matching("0000"), Some(0));
        assert_eq!(ignore.matching("ann@example.org"), None);
    }
}
