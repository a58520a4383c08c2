//! Cells of text files: which type a column has, judged by a sample, and texts turned into values of that type.

use chrono::{DateTime, Days, LocalResult, NaiveDate, NaiveDateTime, NaiveTime, Offset, TimeDelta, TimeZone};
use chrono_tz::Tz;
use datafusion::arrow::datatypes::{DataType as ArrowType, Field, TimeUnit};
use std::sync::Arc;

use crate::sql::DataType;

/// Digits after the point of a decimal.
const SCALE: i8 = 9;

/// What a column of a text file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CellType {
    Text,
    Integer,
    Number,
    Decimal,
    Boolean,
    Date,
    Timestamp,
    TextList,
}

impl CellType {
    pub(super) fn declared(data_type: DataType) -> Self {
        match data_type {
            DataType::Text | DataType::Json | DataType::Unknown | DataType::Interval => Self::Text,
            DataType::Integer => Self::Integer,
            DataType::Number => Self::Number,
            DataType::Decimal => Self::Decimal,
            DataType::Boolean => Self::Boolean,
            DataType::Date => Self::Date,
            DataType::Timestamp => Self::Timestamp,
            DataType::TextList => Self::TextList,
        }
    }

    pub(super) fn arrow(self) -> ArrowType {
        match self {
            Self::Text => ArrowType::Utf8View,
            Self::Integer => ArrowType::Int64,
            Self::Number => ArrowType::Float64,
            Self::Decimal => ArrowType::Decimal128(38, SCALE),
            Self::Boolean => ArrowType::Boolean,
            Self::Date => ArrowType::Date32,
            Self::Timestamp => ArrowType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            Self::TextList => ArrowType::List(Arc::new(Field::new("item", ArrowType::Utf8View, true))),
        }
    }

    /// As it is called in messages.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Decimal => "decimal",
            Self::Boolean => "boolean",
            Self::Date => "date (2026-01-31)",
            Self::Timestamp => "timestamp (2026-01-31T09:00:00Z)",
            Self::TextList => "list of text",
        }
    }
}

/// What the cells of a column looked like so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Seen {
    kinds: u8,
}

impl Seen {
    const BOOLEAN: u8 = 1;
    const INTEGER: u8 = 2;
    const NUMBER: u8 = 4;
    const DATE: u8 = 8;
    const TIMESTAMP: u8 = 16;
    const TEXT: u8 = 32;

    /// A cell of a CSV file.
    pub(super) fn cell(&mut self, text: &str) {
        let text = text.trim();
        if text.is_empty() || self.kinds & Self::TEXT != 0 {
            return;
        }
        self.kinds |= if text.eq_ignore_ascii_case("true") || text.eq_ignore_ascii_case("false") {
            Self::BOOLEAN
        } else if looks_like_integer(text) {
            Self::INTEGER
        } else if looks_like_number(text) {
            Self::NUMBER
        } else {
            Self::moment(text)
        };
    }

    /// A string of a JSON file: never a number.
    pub(super) fn string(&mut self, text: &str) {
        if self.kinds & Self::TEXT == 0 {
            self.kinds |= Self::moment(text);
        }
    }

    pub(super) fn boolean(&mut self) {
        self.kinds |= Self::BOOLEAN;
    }

    pub(super) fn integer(&mut self) {
        self.kinds |= Self::INTEGER;
    }

    pub(super) fn number(&mut self) {
        self.kinds |= Self::NUMBER;
    }

    pub(super) fn nested(&mut self) {
        self.kinds |= Self::TEXT;
    }

    fn moment(text: &str) -> u8 {
        if date(text).is_some() {
            Self::DATE
        } else if timestamp(text, None).is_some() {
            Self::TIMESTAMP
        } else {
            Self::TEXT
        }
    }

    /// The narrowest type that holds all that was seen; text where nothing was, or where kinds are mixed.
    pub(super) fn cell_type(self) -> CellType {
        match self.kinds {
            Self::BOOLEAN => CellType::Boolean,
            Self::INTEGER => CellType::Integer,
            kinds if kinds != 0 && kinds & !(Self::INTEGER | Self::NUMBER) == 0 => CellType::Number,
            Self::DATE => CellType::Date,
            kinds if kinds & Self::TIMESTAMP != 0 && kinds & !(Self::TIMESTAMP | Self::DATE) == 0 => {
                CellType::Timestamp
            }
            _ => CellType::Text,
        }
    }
}

/// A postcode or a phone number is no number: leading zeros and plus signs stay.
fn looks_like_integer(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    digits.bytes().all(|byte| byte.is_ascii_digit())
        && (digits == "0" || !digits.starts_with('0'))
        && text.parse::<i64>().is_ok()
}

fn looks_like_number(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let padded = digits.len() > 1 && digits.starts_with('0') && !digits.starts_with("0.");
    // Long runs of digits are keys, and a number could not hold them.
    let key = !digits.contains(['.', 'e', 'E']);
    !padded && !key && number(text).is_some()
}

pub(super) fn integer(text: &str) -> Option<i64> {
    text.trim().parse().ok()
}

pub(super) fn number(text: &str) -> Option<f64> {
    let text = text.trim();
    let plain = text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'+' | b'e' | b'E'));
    let value: f64 = if plain { text.parse().ok()? } else { return None };
    value.is_finite().then_some(value)
}

pub(super) fn boolean(text: &str) -> Option<bool> {
    match text.trim().to_ascii_lowercase().as_str() {
        "true" | "t" | "yes" | "y" | "1" => Some(true),
        "false" | "f" | "no" | "n" | "0" => Some(false),
        _ => None,
    }
}

/// The decimal times 10⁹; `None` where it has more digits than that after its point.
pub(super) fn decimal(text: &str) -> Option<i128> {
    let text = text.trim();
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    let part = part.trim_end_matches('0');
    let ours = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if digits.is_empty() || digits == "." || !ours(whole) || !ours(part) || part.len() > SCALE as usize {
        return None;
    }
    let value: i128 = format!("{whole}{part:0<9}").parse().ok()?;
    (value < 10_i128.pow(38)).then_some(if negative { -value } else { value })
}

/// Days since the epoch of `2026-01-31`.
pub(super) fn date(text: &str) -> Option<i32> {
    let day = calendar_day(text.trim())?;
    i32::try_from(day.signed_duration_since(NaiveDate::default()).num_days()).ok()
}

fn calendar_day(text: &str) -> Option<NaiveDate> {
    let bytes = text.as_bytes();
    if bytes.len() != 10 || bytes[4] != b'-' || bytes[7] != b'-' {
        return None;
    }
    NaiveDate::from_ymd_opt(digits(text, 0, 4)? as i32, digits(text, 5, 2)?, digits(text, 8, 2)?)
}

/// Microseconds since the epoch of `2026-01-31T09:00:00Z`, `2026-01-31 09:00:00.5+01:00`, `2026-01-31 09:00` or a date.
/// A time without a zone is one of `zone`, else UTC: one that happens twice is read as the earlier, one that a change of
/// the clock skips moves forward.
pub(super) fn timestamp(text: &str, zone: Option<Tz>) -> Option<i64> {
    let text = text.trim();
    let day = calendar_day(text.get(..10)?)?;
    let Some(rest) = text[10..].strip_prefix(['T', 't', ' ']) else {
        return if text.len() == 10 { Some(instant(day.and_time(NaiveTime::MIN), zone)) } else { None };
    };
    let bytes = rest.as_bytes();
    if bytes.len() < 5 || bytes[2] != b':' {
        return None;
    }
    let (hour, minute) = (digits(rest, 0, 2)?, digits(rest, 3, 2)?);
    let mut rest = &rest[5..];
    let mut second = 0;
    let mut micros: u32 = 0;
    if let Some(seconds) = rest.strip_prefix(':') {
        second = digits(seconds, 0, 2)?;
        rest = &seconds[2..];
        if let Some(fraction) = rest.strip_prefix('.') {
            let length = fraction.bytes().take_while(u8::is_ascii_digit).count();
            let kept = &fraction[..length.min(6)];
            micros = format!("{kept:0<6}").parse().ok().filter(|_| length > 0)?;
            rest = &fraction[length..];
        }
    }
    // Midnight at the end of a day, as some systems write it.
    let (day, hour) = if (hour, minute, second, micros) == (24, 0, 0, 0) {
        (day.checked_add_days(Days::new(1))?, 0)
    } else {
        (day, hour)
    };
    let local = day.and_time(NaiveTime::from_hms_micro_opt(hour, minute, second, micros)?);
    match offset(rest.trim_start()) {
        Some(Some(minutes)) => Some((local - TimeDelta::minutes(minutes)).and_utc().timestamp_micros()),
        Some(None) => Some(instant(local, zone)),
        None => None,
    }
}

/// Minutes east of Greenwich; `Some(None)` where no zone is written.
#[expect(clippy::option_option, reason = "not a zone, no zone, or a zone")]
fn offset(text: &str) -> Option<Option<i64>> {
    match text {
        "" => return Some(None),
        "Z" | "z" | "UTC" | "GMT" => return Some(Some(0)),
        _ => {}
    }
    let (sign, digits_of) = match text.as_bytes()[0] {
        b'+' => (1, &text[1..]),
        b'-' => (-1, &text[1..]),
        _ => return None,
    };
    let plain = digits_of.replacen(':', "", 1);
    let (hours, minutes) = match plain.len() {
        2 => (digits(&plain, 0, 2)?, 0),
        4 => (digits(&plain, 0, 2)?, digits(&plain, 2, 2)?),
        _ => return None,
    };
    (hours < 19 && minutes < 60).then(|| Some(sign * (i64::from(hours) * 60 + i64::from(minutes))))
}

fn instant(local: NaiveDateTime, zone: Option<Tz>) -> i64 {
    let Some(zone) = zone else { return local.and_utc().timestamp_micros() };
    let resolved: Option<DateTime<Tz>> = match zone.from_local_datetime(&local) {
        LocalResult::Single(one) | LocalResult::Ambiguous(one, _) => Some(one),
        LocalResult::None => None,
    };
    resolved.map_or_else(
        || {
            let before = zone.offset_from_utc_datetime(&(local - TimeDelta::hours(15))).fix();
            (local - TimeDelta::seconds(i64::from(before.local_minus_utc()))).and_utc().timestamp_micros()
        },
        |one| one.timestamp_micros(),
    )
}

fn digits(text: &str, from: usize, length: usize) -> Option<u32> {
    let part = text.get(from..from + length)?;
    if part.bytes().all(|byte| byte.is_ascii_digit()) { part.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(cells: &[&str]) -> CellType {
        let mut seen = Seen::default();
        for cell in cells {
            seen.cell(cell);
        }
        seen.cell_type()
    }

    #[test]
    fn columns_get_the_narrowest_type_that_keeps_every_value() {
        assert_eq!(judged(&["1", "", "-20"]), CellType::Integer);
        assert_eq!(judged(&["1", "2.5", "1e3"]), CellType::Number);
        assert_eq!(judged(&["True", "false"]), CellType::Boolean);
        assert_eq!(judged(&["2026-01-31"]), CellType::Date);
        assert_eq!(judged(&["2026-01-31T10:00:00Z", "2026-01-31"]), CellType::Timestamp);
        for text in
            [&["01000"][..], &["+33612345678"], &["1", "x"], &["true", "1"], &[""], &[], &["12345678901234567890"]]
        {
            assert_eq!(judged(text), CellType::Text, "{text:?}");
        }
        assert_eq!(judged(&["nan"]), CellType::Text);
        assert_eq!(judged(&["2026-02-30"]), CellType::Text);
    }

    #[test]
    fn times_are_read_in_their_zone() {
        let utc = timestamp("2026-01-31T09:00:00Z", None).unwrap();
        for same in
            ["2026-01-31 09:00", "2026-01-31T10:00:00.000+01:00", "2026-01-31T04:00:00-0500", "2026-01-31 09:00:00 UTC"]
        {
            assert_eq!(timestamp(same, None), Some(utc), "{same}");
        }
        let paris = Some(chrono_tz::Europe::Paris);
        assert_eq!(timestamp("2026-01-31 10:00:00", paris), Some(utc));
        assert_eq!(timestamp("2026-01-31T09:00:00Z", paris), Some(utc), "a written zone wins");
        let at = |text| timestamp(text, paris).unwrap();
        assert_eq!(at("2026-10-25 02:30:00"), timestamp("2026-10-25T00:30:00Z", None).unwrap(), "the earlier of two");
        assert_eq!(at("2026-03-29 02:30:00"), timestamp("2026-03-29T01:30:00Z", None).unwrap(), "moved forward");
        for wrong in
            ["2026-01-31T25:00", "2026-01-31 9:00", "31/01/2026 09:00", "2026-01-31T09:00:00+1", "2026-01-31x", "é"]
        {
            assert_eq!(timestamp(wrong, None), None, "{wrong}");
        }
    }

    #[test]
    fn decimals_are_exact_or_refused() {
        assert_eq!(decimal("12.5"), Some(12_500_000_000));
        assert_eq!(decimal("-0.000000001"), Some(-1));
        assert_eq!(decimal("7.1000000000000"), Some(7_100_000_000));
        for wrong in ["", ".", "1.0000000001", "1,5", "1e3", "--1"] {
            assert_eq!(decimal(wrong), None, "{wrong}");
        }
    }
}
