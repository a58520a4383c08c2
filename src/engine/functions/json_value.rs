//! Values as JSON that stays the same for ever: what keys are made of.
//!
//! A value has one spelling whatever it is stored as, so that a table whose columns are widened keeps its keys: the
//! number three is `3` as an integer, a float and a decimal. Numbers are spelled as RFC 8785 spells them, but keep all
//! digits of integers and decimals; times are cut to microseconds. The spellings are a promise: they may never change.

use std::fmt::Write;
use std::sync::Arc;

use chrono::{DateTime, NaiveDate, NaiveTime, Timelike};
use datafusion::arrow::array::{Array, ArrayRef, AsArray, TimestampMicrosecondArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{
    DataType, Date32Type, Float64Type, Int64Type, Time64MicrosecondType, TimeUnit, TimestampMicrosecondType,
    TimestampNanosecondType, UInt64Type,
};
use datafusion::common::{Result, exec_err};

/// A column, widened to the type that its kind of value is spelled from.
pub(crate) struct Values {
    column: ArrayRef,
    spelling: Spelling,
}

enum Spelling {
    Null,
    Boolean,
    Signed,
    Unsigned,
    Float,
    /// As text, with all digits of the scale.
    Decimal,
    Text,
    Bytes,
    Day,
    TimeOfDay,
    /// An instant; a time without a zone is read as UTC.
    Instant,
    List(Box<Values>),
}

impl Values {
    /// The values of a column; an error where its type has no spelling.
    pub(crate) fn new(column: &ArrayRef) -> Result<Self> {
        use DataType as T;
        let (target, spelling) = match column.data_type() {
            T::Null => (T::Null, Spelling::Null),
            T::Boolean => (T::Boolean, Spelling::Boolean),
            T::Int8 | T::Int16 | T::Int32 | T::Int64 => (T::Int64, Spelling::Signed),
            T::UInt8 | T::UInt16 | T::UInt32 | T::UInt64 => (T::UInt64, Spelling::Unsigned),
            T::Float16 | T::Float32 | T::Float64 => (T::Float64, Spelling::Float),
            T::Decimal32(..) | T::Decimal64(..) | T::Decimal128(..) | T::Decimal256(..) => {
                (T::Utf8View, Spelling::Decimal)
            }
            T::Utf8 | T::LargeUtf8 | T::Utf8View => (T::Utf8View, Spelling::Text),
            T::Binary | T::LargeBinary | T::BinaryView | T::FixedSizeBinary(_) => (T::BinaryView, Spelling::Bytes),
            T::Date32 | T::Date64 => (T::Date32, Spelling::Day),
            T::Time32(_) | T::Time64(_) => (T::Time64(TimeUnit::Microsecond), Spelling::TimeOfDay),
            T::Timestamp(TimeUnit::Nanosecond, _) => {
                // A cast would round towards the epoch.
                let nanos = column.as_primitive::<TimestampNanosecondType>();
                let micros: TimestampMicrosecondArray = nanos.unary(|nanos| nanos.div_euclid(1000));
                return Ok(Self { column: Arc::new(micros), spelling: Spelling::Instant });
            }
            // The zone says how an instant is shown, not which it is.
            T::Timestamp(_, zone) => (T::Timestamp(TimeUnit::Microsecond, zone.clone()), Spelling::Instant),
            T::Dictionary(_, value) => return Self::new(&cast(column, value)?),
            T::List(item) | T::ListView(item) | T::LargeListView(item) | T::FixedSizeList(item, _) => {
                return Self::list(cast(column, &T::LargeList(Arc::clone(item)))?);
            }
            T::LargeList(_) => return Self::list(Arc::clone(column)),
            other => return exec_err!("values of type {other} cannot be part of a key"),
        };
        Ok(Self { column: cast(column, &target)?, spelling })
    }

    fn list(column: ArrayRef) -> Result<Self> {
        let items = Self::new(column.as_list::<i64>().values())?;
        Ok(Self { column, spelling: Spelling::List(Box::new(items)) })
    }

    pub(super) fn is_null(&self, row: usize) -> bool {
        matches!(self.spelling, Spelling::Null) || self.column.is_null(row)
    }

    /// Writes a value as JSON: numbers and booleans as such, lists as arrays, all else as strings.
    pub(super) fn push_json(&self, out: &mut String, row: usize) {
        self.push(out, row, false);
    }

    /// Writes a value as a JSON string: numbers and booleans as well. A null stays null.
    pub(super) fn push_text(&self, out: &mut String, row: usize) {
        self.push(out, row, true);
    }

    fn push(&self, out: &mut String, row: usize, as_text: bool) {
        if self.is_null(row) {
            out.push_str("null");
            return;
        }
        let column = &self.column;
        let plain = match &self.spelling {
            Spelling::Text => {
                push_string(out, column.as_string_view().value(row));
                return;
            }
            Spelling::List(items) => {
                let offsets = column.as_list::<i64>().value_offsets();
                out.push('[');
                for item in offsets[row]..offsets[row + 1] {
                    if item > offsets[row] {
                        out.push(',');
                    }
                    items.push(out, item as usize, as_text);
                }
                out.push(']');
                return;
            }
            Spelling::Float => column.as_primitive::<Float64Type>().value(row).is_finite(),
            Spelling::Null | Spelling::Boolean | Spelling::Signed | Spelling::Unsigned | Spelling::Decimal => true,
            Spelling::Bytes | Spelling::Day | Spelling::TimeOfDay | Spelling::Instant => false,
        };
        // None of these spellings has a character that JSON escapes.
        let quote = if plain && !as_text { "" } else { "\"" };
        out.push_str(quote);
        self.push_plain(out, row);
        out.push_str(quote);
    }

    fn push_plain(&self, out: &mut String, row: usize) {
        let column = &self.column;
        // Writing to a string cannot fail.
        let _ = match &self.spelling {
            Spelling::Null | Spelling::Text | Spelling::List(_) => Ok(()),
            Spelling::Boolean => write!(out, "{}", column.as_boolean().value(row)),
            Spelling::Signed => write!(out, "{}", column.as_primitive::<Int64Type>().value(row)),
            Spelling::Unsigned => write!(out, "{}", column.as_primitive::<UInt64Type>().value(row)),
            Spelling::Float => push_float(out, column.as_primitive::<Float64Type>().value(row)),
            Spelling::Decimal => {
                let text = column.as_string_view().value(row);
                let short = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text };
                out.write_str(short)
            }
            Spelling::Bytes => column.as_binary_view().value(row).iter().try_for_each(|byte| write!(out, "{byte:02x}")),
            Spelling::Day => push_day(out, column.as_primitive::<Date32Type>().value(row)),
            Spelling::TimeOfDay => push_time_of_day(out, column.as_primitive::<Time64MicrosecondType>().value(row)),
            Spelling::Instant => push_instant(out, column.as_primitive::<TimestampMicrosecondType>().value(row)),
        };
    }
}

/// A JSON string: quotes, backslashes and control characters are escaped, all else is itself.
pub(super) fn push_string(out: &mut String, text: &str) {
    out.push('"');
    for character in text.chars() {
        let _ = match character {
            '"' => out.write_str("\\\""),
            '\\' => out.write_str("\\\\"),
            '\u{8}' => out.write_str("\\b"),
            '\u{c}' => out.write_str("\\f"),
            '\n' => out.write_str("\\n"),
            '\r' => out.write_str("\\r"),
            '\t' => out.write_str("\\t"),
            control if control < ' ' => write!(out, "\\u{:04x}", u32::from(control)),
            other => out.write_char(other),
        };
    }
    out.push('"');
}

/// The shortest digits that read back as the number; a power of ten only from 10^21 and below 10^-6.
fn push_float(out: &mut String, value: f64) -> std::fmt::Result {
    if value.is_nan() {
        return out.write_str("NaN");
    }
    if value == 0.0 {
        return out.write_str("0");
    }
    if value < 0.0 {
        out.push('-');
    }
    if value.is_infinite() {
        return out.write_str("Infinity");
    }
    let scientific = format!("{:e}", value.abs());
    let Some((mantissa, Ok(exponent))) = scientific.split_once('e').map(|(m, e)| (m, e.parse::<i32>())) else {
        return out.write_str(&scientific);
    };
    let digits = mantissa.replace('.', "");
    match usize::try_from(exponent) {
        Ok(exponent) if exponent < 21 => {
            let whole = exponent + 1;
            match digits.get(whole..).filter(|fraction| !fraction.is_empty()) {
                Some(fraction) => write!(out, "{}.{fraction}", &digits[..whole]),
                None => write!(out, "{digits:0<whole$}"),
            }
        }
        Ok(exponent) => write!(out, "{mantissa}e+{exponent}"),
        Err(_) if exponent >= -6 => {
            out.push_str("0.");
            (exponent + 1..0).for_each(|_| out.push('0'));
            out.write_str(&digits)
        }
        Err(_) => write!(out, "{mantissa}e{exponent}"),
    }
}

/// `YYYY-MM-DD`; a day beyond the calendar is its number.
fn push_day(out: &mut String, day: i32) -> std::fmt::Result {
    match NaiveDate::from_epoch_days(day) {
        Some(date) => write!(out, "{date}"),
        None => write!(out, "{day}"),
    }
}

/// `HH:MM:SS`, and a fraction where there is one.
fn push_time_of_day(out: &mut String, micros: i64) -> std::fmt::Result {
    let (seconds, fraction) = (micros.div_euclid(1_000_000), micros.rem_euclid(1_000_000));
    let time = u32::try_from(seconds).ok().and_then(|s| NaiveTime::from_num_seconds_from_midnight_opt(s, 0));
    let Some(time) = time else { return write!(out, "{micros}") };
    write!(out, "{:02}:{:02}:{:02}", time.hour(), time.minute(), time.second())?;
    if fraction > 0 {
        out.write_str(format!(".{fraction:06}").trim_end_matches('0'))?;
    }
    Ok(())
}

/// RFC 3339 in UTC, `2026-01-15T10:00:00.5Z`; an instant beyond the calendar is its number.
fn push_instant(out: &mut String, micros: i64) -> std::fmt::Result {
    const PER_DAY: i64 = 86_400_000_000;
    let Some(instant) = DateTime::from_timestamp_micros(micros) else { return write!(out, "{micros}") };
    write!(out, "{}T", instant.date_naive())?;
    push_time_of_day(out, micros.rem_euclid(PER_DAY))?;
    out.write_str("Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn float(value: f64) -> String {
        let mut out = String::new();
        push_float(&mut out, value).unwrap();
        out
    }

    #[test]
    fn floats_are_spelled_as_in_rfc_8785() {
        // Its appendix B, by bits.
        let vectors = [
            (0x0000_0000_0000_0000_u64, "0"),
            (0x8000_0000_0000_0000, "0"),
            (0x0000_0000_0000_0001, "5e-324"),
            (0x8000_0000_0000_0001, "-5e-324"),
            (0x7fef_ffff_ffff_ffff, "1.7976931348623157e+308"),
            (0x4340_0000_0000_0000, "9007199254740992"),
            (0xc340_0000_0000_0000, "-9007199254740992"),
            (0x4430_0000_0000_0000, "295147905179352830000"),
            (0x44b5_2d02_c7e1_4af5, "9.999999999999997e+22"),
            (0x44b5_2d02_c7e1_4af6, "1e+23"),
            (0x44b5_2d02_c7e1_4af7, "1.0000000000000001e+23"),
            (0x444b_1ae4_d6e2_ef4e, "999999999999999700000"),
            (0x444b_1ae4_d6e2_ef4f, "999999999999999900000"),
            (0x444b_1ae4_d6e2_ef50, "1e+21"),
            (0x3eb0_c6f7_a0b5_ed8c, "9.999999999999997e-7"),
            (0x3eb0_c6f7_a0b5_ed8d, "0.000001"),
            (0x41b3_de43_5555_5553, "333333333.3333332"),
            (0x41b3_de43_5555_5554, "333333333.33333325"),
            (0x41b3_de43_5555_5555, "333333333.3333333"),
            (0x41b3_de43_5555_5556, "333333333.3333334"),
            (0xbecb_f647_612f_3696, "-0.0000033333333333333333"),
        ];
        for (bits, wanted) in vectors {
            assert_eq!(float(f64::from_bits(bits)), wanted);
        }
        assert_eq!(float(1.5), "1.5");
        assert_eq!(float(-120.0), "-120");
        assert_eq!(float(f64::NEG_INFINITY), "-Infinity");
    }

    proptest::proptest! {
        #[test]
        fn floats_read_back(bits: u64) {
            let value = f64::from_bits(bits);
            let read: f64 = float(value).parse().unwrap();
            proptest::prop_assert!(read == value || value.is_nan());
        }

        #[test]
        fn strings_read_back(text in "(?s).{0,20}|[\u{0}-\u{7f}]{0,20}") {
            let mut out = String::new();
            push_string(&mut out, &text);
            proptest::prop_assert_eq!(serde_json::from_str::<String>(&out).unwrap(), text);
        }
    }
}
