//! `cohorte_phone`: E.164, with the region that numbers without a country are read in.

use std::cell::RefCell;
use std::collections::HashMap;

use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Result as SqlResult, exec_err};
use phonenumber::country::Id;

use super::call::{Arguments, Function, Kind, Takes, Text, reasons, texts};
use super::{EMPTY, PLACEHOLDER, Reason};

pub(super) fn functions() -> Vec<Function> {
    let takes = Takes::Exactly(&[Kind::Text, Kind::Text]);
    vec![
        Function::new("cohorte_phone", takes, DataType::Utf8View, |arguments| {
            let phones = Phones::new(arguments)?;
            Ok(texts(arguments.rows, |row| phones.read(row)?.ok()))
        }),
        Function::new("cohorte_phone_reason", takes, DataType::Utf8View, |arguments| {
            let phones = Phones::new(arguments)?;
            Ok(reasons(arguments.rows, |row| phones.read(row)))
        }),
    ]
}

/// A result per (number, region) of the batch: parsing one costs microseconds, and numbers repeat.
type Seen<'a> = HashMap<(&'a str, Option<Id>), Result<String, Reason>>;

/// The numbers of one batch.
struct Phones<'a> {
    text: Text<'a>,
    regions: Vec<Option<Id>>,
    seen: RefCell<Seen<'a>>,
}

impl<'a> Phones<'a> {
    fn new(arguments: &Arguments<'a>) -> SqlResult<Self> {
        let region = arguments.text(1)?;
        let constant = matches!(region, Text::Constant(_));
        let rows = if constant { 1 } else { arguments.rows };
        let mut regions = Vec::with_capacity(rows);
        for row in 0..rows {
            let id = match region.at(row).map(str::trim).filter(|region| !region.is_empty()) {
                None => None,
                Some(code) => match code.to_ascii_uppercase().parse() {
                    Ok(id) => Some(id),
                    // In a column an unknown country only leaves the number without one.
                    Err(_) if !constant => None,
                    Err(_) => return exec_err!("'{code}' is no region: two letters such as FR are expected"),
                },
            };
            regions.push(id);
        }
        Ok(Self { text: arguments.text(0)?, regions, seen: RefCell::default() })
    }

    fn read(&self, row: usize) -> Option<Result<String, Reason>> {
        let text = self.text.at(row)?;
        let region = if self.regions.len() == 1 { self.regions[0] } else { self.regions.get(row).copied().flatten() };
        let mut seen = self.seen.borrow_mut();
        Some(seen.entry((text, region)).or_insert_with(|| normalise_phone(text, region)).clone())
    }
}

/// The number as E.164 (`+33612345678`), or why it is none. Without a region only international numbers are read.
pub fn normalise_phone(text: &str, region: Option<Id>) -> Result<String, Reason> {
    let text = text.trim();
    let text = text.get(..4).filter(|scheme| scheme.eq_ignore_ascii_case("tel:")).map_or(text, |_| text[4..].trim());
    if text.is_empty() {
        return Err(EMPTY);
    }
    if text.len() > 60 {
        return Err("too long");
    }
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_digit).collect();
    if digits.is_empty() {
        return Err("no digits");
    }
    if digits.len() > 20 {
        return Err("too long");
    }
    if digits.iter().all(|digit| *digit == digits[0]) {
        return Err(PLACEHOLDER);
    }
    let rewritten;
    let mut international = text.starts_with('+') || text.starts_with("(+");
    let text = match text.strip_prefix("00") {
        Some(rest) if !international && region.is_none_or(dials_abroad_with_00) => {
            international = true;
            rewritten = format!("+{rest}");
            &rewritten
        }
        _ => text,
    };
    if !international && region.is_none() {
        return Err("no country code");
    }
    // The region must not lend its trunk prefix to other countries' numbers: in Italy the leading zero stays.
    let region = region.filter(|_| !international);
    // `+33 (0)6 …`, as it is printed on business cards: the zero is not dialled, but in Italy it is.
    let without_trunk;
    let text = if international && text.contains("(0)") && !text.contains("+39") {
        without_trunk = text.replacen("(0)", "", 1);
        &without_trunk
    } else {
        text
    };
    let number = phonenumber::parse(region, text).map_err(|error| match error {
        phonenumber::ParseError::NoNumber => "not a phone number",
        phonenumber::ParseError::InvalidCountryCode => "unknown country code",
        phonenumber::ParseError::TooLong => "too long",
        _ => "too short",
    })?;
    if !phonenumber::is_valid(&number) {
        return Err("not in use in its country");
    }
    Ok(format!("+{}{}", number.code().value(), number.national()))
}

fn dials_abroad_with_00(region: Id) -> bool {
    let metadata = phonenumber::metadata::DATABASE.by_id(region.as_ref());
    metadata.and_then(|metadata| metadata.international_prefix()).is_some_and(|prefix| prefix.as_str() == "00")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::functions::tests::row;

    #[test]
    fn numbers_get_one_spelling() {
        let vectors = [
            // From googleads/data-manager-python tests/formatter_test.py (Apache-2.0).
            ("+1 800-555-0100", None, "+18005550100"),
            ("   +1-800-555-0100", None, "+18005550100"),
            ("1 800 555 0100", Some(Id::US), "+18005550100"),
            ("+441134960987", None, "+441134960987"),
            ("+44-113-496-0987", None, "+441134960987"),
            // Our own.
            ("06 12 34 56 78", Some(Id::FR), "+33612345678"),
            ("06.12.34.56.78", Some(Id::FR), "+33612345678"),
            ("0612345678", Some(Id::FR), "+33612345678"),
            ("612345678", Some(Id::FR), "+33612345678"),
            ("33612345678", Some(Id::FR), "+33612345678"),
            ("+33 (0)6 12 34 56 78", Some(Id::FR), "+33612345678"),
            ("+33 (0)6 12 34 56 78", None, "+33612345678"),
            ("0033612345678", Some(Id::FR), "+33612345678"),
            ("0033 6 12 34 56 78", None, "+33612345678"),
            ("tel:+33-6-12-34-56-78", None, "+33612345678"),
            ("+34 612 34 56 78", Some(Id::FR), "+34612345678"),
            ("01 42 68 53 00", Some(Id::FR), "+33142685300"),
            ("+39 06 69812345", Some(Id::FR), "+390669812345"),
            ("0039 06 69812345", Some(Id::FR), "+390669812345"),
            ("011 33 6 12 34 56 78", Some(Id::US), "+33612345678"),
        ];
        for (given, region, wanted) in vectors {
            assert_eq!(normalise_phone(given, region).as_deref(), Ok(wanted), "{given}");
        }
    }

    #[test]
    fn what_is_no_number_has_a_reason() {
        let vectors = [
            ("", Some(Id::FR), "empty"),
            ("  ", None, "empty"),
            (" +A BCD EFG ", None, "no digits"),
            ("0612345678", None, "no country code"),
            ("0000000000", Some(Id::FR), "placeholder"),
            ("0012", None, "not a phone number"),
            ("123", Some(Id::FR), "not in use in its country"),
            ("061234567", Some(Id::FR), "not in use in its country"),
            ("+99912345678", None, "unknown country code"),
            ("0612345678061234567806", Some(Id::FR), "too long"),
        ];
        for (given, region, wanted) in vectors {
            let reason = normalise_phone(given, region).unwrap_err();
            assert_eq!(reason, wanted, "{given}");
        }
    }

    #[tokio::test]
    async fn the_region_may_be_a_column_and_an_unknown_literal_is_an_error() {
        let sql = "select cohorte_phone(p, r), cohorte_phone_reason(p, r), cohorte_phone(p, 'fr') \
                   from (values ('0612345678', 'FR'), ('0612345679', '??')) t(p, r) order by p";
        assert_eq!(row(sql).await, ["+33612345678", "", "+33612345678"]);
        let ctx = datafusion::prelude::SessionContext::new();
        crate::engine::functions::register(&ctx);
        let answer = match ctx.sql("select cohorte_phone(p, 'Gaul') from (values ('06')) t(p)").await {
            Ok(frame) => frame.collect().await.map(drop),
            Err(error) => Err(error),
        };
        assert!(answer.unwrap_err().to_string().contains("no region"));
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_answered(text in "[+()0-9 ./a-z;=-]{0,30}|.{0,30}") {
            if let Ok(number) = normalise_phone(&text, Some(Id::FR)) {
                proptest::prop_assert!(number.starts_with('+') && number[1..].bytes().all(|b| b.is_ascii_digit()));
            }
        }
    }
}
