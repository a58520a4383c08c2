//! What of a statement hangs on the moment that a run is as of.

/// The filter by which rows count once they have happened; those that do not say when, always. `alias` is that of the rows, if any.
pub(super) fn happened(alias: &str) -> String {
    let time = if alias.is_empty() { "_time".to_owned() } else { format!("{alias}._time") };
    format!("({time} <= cohorte_now() or {time} is null)")
}

/// The filter by which events of consent count once they have happened. A withdrawal counts whenever it was made.
pub(super) const SAID: &str = "(at <= cohorte_now() or status = 'withdrawn')";

/// Does a statement ask what time it is, other than to leave out what has not happened yet? If not, it gives the same rows at
/// any two moments between which nothing has happened.
#[must_use]
pub fn asks_the_clock(sql: &str) -> bool {
    let filters = ["", "e", "r"].map(happened);
    let rest =
        filters.iter().map(String::as_str).chain([SAID]).fold(sql.to_owned(), |sql, filter| sql.replace(filter, ""));
    rest.contains("cohorte_now()") || rest.contains("cohorte_today()")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaving_out_what_has_not_happened_is_no_question() {
        let rows = |filter: &str| format!("select a from t as e where {filter}");
        assert!(!asks_the_clock(&rows(&happened("e"))));
        assert!(!asks_the_clock(&rows(SAID)));
        assert!(asks_the_clock(&rows("e.day < cohorte_today()")));
        assert!(asks_the_clock(&rows(&format!("{} and e.at > cohorte_now() - interval '1 day'", happened("e")))));
    }
}
