//! The nearest known name to one that is not known: "did you mean …?".

use strsim::osa_distance;

/// The known name that was probably meant, if one is near enough: a third of the letters may differ, at least one.
/// Upper and lower case, `-` and `_` are the same. Ties go to the first in alphabetical order.
pub fn nearest<'a>(unknown: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = folded(unknown);
    let allowed = (wanted.chars().count() / 3).max(1);
    known
        .filter(|name| *name != unknown)
        .map(|name| (osa_distance(&wanted, &folded(name)), name))
        .filter(|(distance, name)| *distance <= allowed && *distance < name.chars().count())
        .min()
        .map(|(_, name)| name)
}

fn folded(name: &str) -> String {
    name.to_lowercase().replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::nearest;

    const KNOWN: [&str; 6] = ["columns", "country", "timezone", "updated_at", "where", "x"];

    #[test]
    fn near_names_are_found() {
        for (unknown, expected) in [
            ("contry", Some("country")),
            ("cuontry", Some("country")),
            ("Country", Some("country")),
            ("updated-at", Some("updated_at")),
            ("time_zone", Some("timezone")),
            ("wher", Some("where")),
            ("revenue", None),
            ("y", None),
            ("", None),
        ] {
            assert_eq!(nearest(unknown, KNOWN.into_iter()), expected, "{unknown}");
        }
    }

    #[test]
    fn ties_do_not_depend_on_the_order() {
        assert_eq!(nearest("segmant", ["segmont", "segment"].into_iter()), Some("segment"));
        assert_eq!(nearest("segmant", ["segment", "segmont"].into_iter()), Some("segment"));
    }
}
