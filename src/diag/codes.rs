//! Every error code with its page, as `cohorte explain CODE` prints it. The pages are the files of `codes/`;
//! the tidy test keeps this table equal to that folder (`BLESS=1 cargo test --test it tidy` writes it anew).

/// (code, page), ascending.
const PAGES: &[(&str, &str)] = &[
    // The table begins.
    ("E001", include_str!("codes/E001.md")),
    ("E002", include_str!("codes/E002.md")),
    ("E101", include_str!("codes/E101.md")),
    ("E102", include_str!("codes/E102.md")),
    ("E103", include_str!("codes/E103.md")),
    ("E104", include_str!("codes/E104.md")),
    ("E105", include_str!("codes/E105.md")),
    ("E106", include_str!("codes/E106.md")),
    ("E107", include_str!("codes/E107.md")),
    ("E108", include_str!("codes/E108.md")),
    ("E109", include_str!("codes/E109.md")),
    ("E110", include_str!("codes/E110.md")),
    ("E111", include_str!("codes/E111.md")),
    ("E112", include_str!("codes/E112.md")),
    ("E113", include_str!("codes/E113.md")),
    ("E114", include_str!("codes/E114.md")),
    ("E115", include_str!("codes/E115.md")),
    ("E116", include_str!("codes/E116.md")),
    ("E117", include_str!("codes/E117.md")),
    ("E118", include_str!("codes/E118.md")),
    ("E119", include_str!("codes/E119.md")),
    ("E120", include_str!("codes/E120.md")),
    ("E121", include_str!("codes/E121.md")),
    ("E122", include_str!("codes/E122.md")),
    ("E123", include_str!("codes/E123.md")),
    ("E124", include_str!("codes/E124.md")),
    ("E125", include_str!("codes/E125.md")),
    ("E126", include_str!("codes/E126.md")),
    ("E127", include_str!("codes/E127.md")),
    ("E128", include_str!("codes/E128.md")),
    ("E129", include_str!("codes/E129.md")),
    ("E130", include_str!("codes/E130.md")),
    ("E131", include_str!("codes/E131.md")),
    ("E132", include_str!("codes/E132.md")),
    ("E133", include_str!("codes/E133.md")),
    ("E134", include_str!("codes/E134.md")),
    ("E135", include_str!("codes/E135.md")),
    ("E136", include_str!("codes/E136.md")),
    ("E137", include_str!("codes/E137.md")),
    ("E138", include_str!("codes/E138.md")),
    ("E140", include_str!("codes/E140.md")),
    ("E141", include_str!("codes/E141.md")),
    ("E142", include_str!("codes/E142.md")),
    ("E143", include_str!("codes/E143.md")),
    ("E144", include_str!("codes/E144.md")),
    ("E145", include_str!("codes/E145.md")),
    ("E151", include_str!("codes/E151.md")),
    ("E152", include_str!("codes/E152.md")),
    ("E153", include_str!("codes/E153.md")),
    ("E154", include_str!("codes/E154.md")),
    ("E155", include_str!("codes/E155.md")),
    ("E156", include_str!("codes/E156.md")),
    ("E157", include_str!("codes/E157.md")),
    ("E158", include_str!("codes/E158.md")),
    ("E201", include_str!("codes/E201.md")),
    ("E202", include_str!("codes/E202.md")),
    ("E203", include_str!("codes/E203.md")),
    ("E204", include_str!("codes/E204.md")),
    ("E205", include_str!("codes/E205.md")),
    ("E206", include_str!("codes/E206.md")),
    ("E207", include_str!("codes/E207.md")),
    ("E208", include_str!("codes/E208.md")),
    ("E301", include_str!("codes/E301.md")),
    ("E302", include_str!("codes/E302.md")),
    ("E303", include_str!("codes/E303.md")),
    ("E304", include_str!("codes/E304.md")),
    ("E305", include_str!("codes/E305.md")),
    ("E306", include_str!("codes/E306.md")),
    ("E307", include_str!("codes/E307.md")),
    ("E308", include_str!("codes/E308.md")),
    ("E309", include_str!("codes/E309.md")),
    ("E310", include_str!("codes/E310.md")),
    ("E311", include_str!("codes/E311.md")),
    ("E312", include_str!("codes/E312.md")),
    ("E401", include_str!("codes/E401.md")),
    ("E402", include_str!("codes/E402.md")),
    ("E403", include_str!("codes/E403.md")),
    ("E404", include_str!("codes/E404.md")),
    ("E405", include_str!("codes/E405.md")),
    ("E406", include_str!("codes/E406.md")),
    ("E601", include_str!("codes/E601.md")),
    ("E602", include_str!("codes/E602.md")),
    ("E603", include_str!("codes/E603.md")),
    ("E604", include_str!("codes/E604.md")),
    ("E605", include_str!("codes/E605.md")),
    ("E701", include_str!("codes/E701.md")),
    ("G601", include_str!("codes/G601.md")),
    ("W001", include_str!("codes/W001.md")),
    ("W002", include_str!("codes/W002.md")),
    ("W003", include_str!("codes/W003.md")),
    ("W004", include_str!("codes/W004.md")),
    ("W005", include_str!("codes/W005.md")),
    ("W401", include_str!("codes/W401.md")),
    ("W402", include_str!("codes/W402.md")),
    ("W403", include_str!("codes/W403.md")),
    ("W404", include_str!("codes/W404.md")),
    ("W405", include_str!("codes/W405.md")),
    ("W406", include_str!("codes/W406.md")),
    ("W407", include_str!("codes/W407.md")),
    ("W408", include_str!("codes/W408.md")),
    ("W409", include_str!("codes/W409.md")),
    ("W410", include_str!("codes/W410.md")),
    ("W411", include_str!("codes/W411.md")),
    ("W412", include_str!("codes/W412.md")),
    ("W413", include_str!("codes/W413.md")),
    ("W414", include_str!("codes/W414.md")),
    ("W415", include_str!("codes/W415.md")),
    ("W601", include_str!("codes/W601.md")),
    ("W602", include_str!("codes/W602.md")),
    ("W603", include_str!("codes/W603.md")),
    ("W604", include_str!("codes/W604.md")),
    ("W605", include_str!("codes/W605.md")),
    ("W606", include_str!("codes/W606.md")),
    ("W608", include_str!("codes/W608.md")),
    ("W609", include_str!("codes/W609.md")),
    ("W610", include_str!("codes/W610.md")),
    ("W611", include_str!("codes/W611.md")),
    ("W612", include_str!("codes/W612.md")),
    ("W613", include_str!("codes/W613.md")),
    ("W701", include_str!("codes/W701.md")),
    ("W901", include_str!("codes/W901.md")),
    ("W902", include_str!("codes/W902.md")),
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
    let mut text = "# Error codes\n\n`E` is about a project or its data, `W` about the world around it, `G` is a guard that tripped.\n".to_owned();
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
