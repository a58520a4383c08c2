//! Figures for people: counts, changes, sizes and durations.

use std::time::Duration;

/// A count with its thousands apart: `12,345`.
#[must_use]
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A count with what is counted: `1 batch`, `1,204 batches`.
#[must_use]
pub fn counted(n: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(n), if n == 1 { one } else { many })
}

/// A change with its sign: `+1,204`, `-3`, `0`.
#[must_use]
pub fn change(n: i64) -> String {
    let sign = match n {
        0 => "",
        1.. => "+",
        _ => "-",
    };
    format!("{sign}{}", count(n.unsigned_abs()))
}

/// A size with at most one digit after the point: `980 B`, `4.2 kB`, `1.3 GB`. Units of thousands.
#[must_use]
pub fn bytes(n: u64) -> String {
    const UNITS: [&str; 6] = ["kB", "MB", "GB", "TB", "PB", "EB"];
    if n < 1_000 {
        return format!("{n} B");
    }
    let mut value = n as f64 / 1_000.0;
    let mut unit = 0;
    // 999.95 and above would print as 1000.0.
    while value >= 999.95 && unit + 1 < UNITS.len() {
        value /= 1_000.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

/// How long something took: `340 ms`, `1.2 s`, `2 min 05 s`, `1 h 04 min`.
#[must_use]
pub fn duration(duration: Duration) -> String {
    let milliseconds = duration.as_millis();
    let seconds = (milliseconds + 500) / 1_000;
    if milliseconds < 1_000 {
        format!("{milliseconds} ms")
    } else if milliseconds < 59_950 {
        format!("{:.1} s", milliseconds as f64 / 1_000.0)
    } else if seconds < 3_600 {
        format!("{} min {:02} s", seconds / 60, seconds % 60)
    } else {
        format!("{} h {:02} min", seconds / 3_600, seconds % 3_600 / 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_have_their_thousands_apart() {
        let shown: Vec<String> = [0, 12, 999, 1_000, 12_345, 1_234_567].into_iter().map(count).collect();
        assert_eq!(shown, ["0", "12", "999", "1,000", "12,345", "1,234,567"]);
        assert_eq!(count(u64::MAX), "18,446,744,073,709,551,615");
    }

    #[test]
    fn one_is_no_plural() {
        let shown = [0, 1, 1_204].map(|n| counted(n, "batch", "batches"));
        assert_eq!(shown, ["0 batches", "1 batch", "1,204 batches"]);
    }

    #[test]
    fn changes_have_their_sign() {
        assert_eq!([0, 1_204, -3].map(change), ["0", "+1,204", "-3"]);
        assert_eq!(change(i64::MIN), "-9,223,372,036,854,775,808");
    }

    #[test]
    fn sizes_round_within_their_unit() {
        let shown: Vec<String> =
            [0, 999, 1_000, 4_249, 999_949, 999_950, 1_300_000_000].into_iter().map(bytes).collect();
        assert_eq!(shown, ["0 B", "999 B", "1.0 kB", "4.2 kB", "999.9 kB", "1.0 MB", "1.3 GB"]);
        assert_eq!(bytes(u64::MAX), "18.4 EB");
    }

    #[test]
    fn durations_read_as_people_say_them() {
        let shown: Vec<String> = [0, 340, 1_240, 59_949, 59_950, 125_000, 3_599_499, 3_599_500, 3_840_000]
            .into_iter()
            .map(Duration::from_millis)
            .map(duration)
            .collect();
        assert_eq!(
            shown,
            [
                "0 ms",
                "340 ms",
                "1.2 s",
                "59.9 s",
                "1 min 00 s",
                "2 min 05 s",
                "59 min 59 s",
                "1 h 00 min",
                "1 h 04 min"
            ]
        );
    }
}
