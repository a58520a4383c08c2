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

/// All pages as one, in Markdown. The tidy test keeps `docs/reference/errors.md` equal to it.
#[must_use]
pub fn reference() -> String {
    let mut text = "# Error codes\n\n`E` is about a project or its data, `W` about the world around it.\n".to_owned();
    for (_, page) in PAGES {
        // One title for the document; every page goes one level down.
        let mut in_code = false;
        text.push('\n');
        for line in page.trim_end().lines() {
            in_code ^= line.starts_with("```");
            if line.starts_with('#') && !in_code {
                text.push('#');
            }
            text.push_str(line);
            text.push('\n');
        }
    }
    text
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
