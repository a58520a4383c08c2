//! Every error code with its page, as `cohorte explain CODE` prints it. The pages are the files of `codes/`;
//! the tidy test keeps this table equal to that folder (`BLESS=1 cargo test --test it tidy` writes it anew).

/// (code, page), ascending.
const PAGES: &[(&str, &str)] = &[
    // The table begins.
    ("E001", include_str!("codes/E001.md")),
    ("E002", include_str!("codes/E002.md")),
    ("W001", include_str!("codes/W001.md")),
    // The table ends.
];

/// The page of a code, in Markdown.
#[must_use]
pub fn page(code: &str) -> Option<&'static str> {
    PAGES.binary_search_by_key(&code, |(code, _)| code).ok().map(|index| PAGES[index].1)
}

/// Every code with its title, ascending.
pub fn all() -> impl Iterator<Item = (&'static str, &'static str)> {
    PAGES.iter().map(|(code, page)| {
        let first = page.lines().next().unwrap_or_default();
        (*code, first.split_once(": ").map_or(first, |(_, title)| title))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_found_by_code() {
        assert!(page("E001").unwrap().starts_with("# E001: "));
        assert_eq!(page("e001"), None);
        assert_eq!(page(""), None);
    }

    #[test]
    fn the_table_ascends_and_every_code_has_a_title() {
        assert!(PAGES.is_sorted_by(|a, b| a.0 < b.0));
        for (code, title) in all() {
            assert!(page(code).is_some_and(|page| page.starts_with(&format!("# {code}: {title}"))), "{code}");
        }
    }
}
