//! Durations as `90d`, `2h`, `3y`.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de};

/// A unit of time. Days and longer are calendar units, hours and shorter are exact (DESIGN §5.3, *Time*).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Unit {
    /// `s`
    Second,
    /// `min`
    Minute,
    /// `h`
    Hour,
    /// `d`
    Day,
    /// `w`
    Week,
    /// `mo`
    Month,
    /// `y`
    Year,
}

/// A length of time: a positive number of one unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Duration {
    /// How many.
    pub count: u32,
    /// Of what.
    pub unit: Unit,
}

impl Duration {
    /// The number of days, for what is measured in days (half-lives): a week is 7, a month 30.4375, a year 365.25.
    #[must_use]
    pub fn days(self) -> f64 {
        let unit = match self.unit {
            Unit::Second => 1.0 / 86_400.0,
            Unit::Minute => 1.0 / 1_440.0,
            Unit::Hour => 1.0 / 24.0,
            Unit::Day => 1.0,
            Unit::Week => 7.0,
            Unit::Month => 30.4375,
            Unit::Year => 365.25,
        };
        f64::from(self.count) * unit
    }

    /// The same as an exact length; none for weeks and longer, where it depends on the calendar.
    #[must_use]
    pub fn exact(self) -> Option<std::time::Duration> {
        let seconds = match self.unit {
            Unit::Second => 1,
            Unit::Minute => 60,
            Unit::Hour => 3_600,
            Unit::Day => 86_400,
            Unit::Week | Unit::Month | Unit::Year => return None,
        };
        Some(std::time::Duration::from_secs(u64::from(self.count) * seconds))
    }
}

impl fmt::Display for Duration {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = match self.unit {
            Unit::Second => "s",
            Unit::Minute => "min",
            Unit::Hour => "h",
            Unit::Day => "d",
            Unit::Week => "w",
            Unit::Month => "mo",
            Unit::Year => "y",
        };
        write!(formatter, "{}{unit}", self.count)
    }
}

impl FromStr for Duration {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.len() - text.trim_start_matches(|digit: char| digit.is_ascii_digit()).len();
        let (count, unit) = text.split_at(digits);
        let unit = match unit {
            "s" => Unit::Second,
            "min" => Unit::Minute,
            "h" => Unit::Hour,
            "d" => Unit::Day,
            "w" => Unit::Week,
            "mo" => Unit::Month,
            "y" => Unit::Year,
            _ => return Err("a duration is expected here, such as `90d`, `2h`, `30min`, `6w`, `18mo` or `3y`".into()),
        };
        match count.parse::<u32>() {
            // Beyond, calendar arithmetic leaves the range of dates.
            Ok(count) if (1..=36_500).contains(&count) || (count > 0 && unit <= Unit::Hour && count <= 1_000_000) => {
                Ok(Self { count, unit })
            }
            _ => Err("a duration is a number from 1 to 36500 and a unit, such as `90d`".into()),
        }
    }
}

impl<'de> Deserialize<'de> for Duration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for Duration {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "pattern": "^[0-9]+(s|min|h|d|w|mo|y)$", "description": "A duration such as 90d, 2h, 30min, 6w, 18mo or 3y"})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_printed() {
        for text in ["90d", "2h", "30min", "3y", "18mo", "6w", "45s"] {
            assert_eq!(text.parse::<Duration>().unwrap().to_string(), text);
        }
        for text in ["", "d", "90", "0d", "-1d", "1.5d", "99999999d", "3m"] {
            assert!(text.parse::<Duration>().is_err(), "{text}");
        }
    }
}
