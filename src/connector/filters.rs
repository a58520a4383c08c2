//! Filters of expressions: normalisers, digests and writings that vendors want.
//!
//! A normaliser takes text and gives the one way to write it, or nothing where it cannot be what it should be. Vendors differ: Google
//! leaves the dots out of a gmail address before it is hashed, Meta does not; some keep the `+` of a telephone number, Meta drops it.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use md5::Md5;
use minijinja::value::{Rest, Value, ValueKind};
use minijinja::{Environment, Error, ErrorKind};
use sha2::{Digest as _, Sha256};

/// Text → the one way to write it; nothing where it cannot be.
pub(super) type Normaliser = fn(&str) -> Option<String>;

/// Every normaliser: its name, and what it is for the reference.
pub const NORMALISERS: &[(&str, &str)] = &[
    ("trim", "without spaces at both ends"),
    ("lower", "in small letters"),
    ("upper", "in capitals"),
    ("digits", "digits alone"),
    (
        "email",
        "an e-mail address in small letters without spaces around it; nothing where there is no `@` with text on both sides",
    ),
    (
        "google_email",
        "an e-mail address as Google compares it: as `email`, and without the dots before `@gmail.com` and `@googlemail.com`",
    ),
    ("phone", "a telephone number in E.164: `+` and 8 to 15 digits; nothing where it is not written so"),
    ("phone_digits", "the digits of a telephone number in E.164, without `+`"),
    ("name", "a name in small letters, without spaces around it and without punctuation"),
    ("country", "two capitals (ISO 3166-1 alpha-2); nothing where it is not that"),
    ("md5", "the MD5 digest in hex"),
    ("sha256", "the SHA-256 digest in hex"),
];

/// The normaliser of that name.
pub(super) fn normaliser(name: &str) -> Option<Normaliser> {
    Some(match name {
        "trim" => |text| Some(text.trim().to_owned()),
        "lower" => |text| Some(text.to_lowercase()),
        "upper" => |text| Some(text.to_uppercase()),
        "digits" => |text| Some(text.chars().filter(char::is_ascii_digit).collect()),
        "email" => email,
        "google_email" => google_email,
        "phone" => phone,
        "phone_digits" => |text| phone(text).map(|number| number[1..].to_owned()),
        "name" => |text| Some(text.trim().to_lowercase().chars().filter(|letter| !is_punctuation(*letter)).collect()),
        "country" => country,
        "md5" => |text| Some(hex(&Md5::digest(text.as_bytes()))),
        "sha256" => |text| Some(sha256(text.as_bytes())),
        _ => return None,
    })
}

/// The other filters, and what they are for the reference.
pub const WRITERS: &[(&str, &str)] = &[
    ("or_omit", "leaves the key out where the value is null, or an empty text, list or map"),
    ("hmac_sha256(secret)", "the HMAC-SHA-256 of the text, in hex"),
    ("base64", "the text in Base64"),
    ("base64url", "the text in URL-safe Base64 without padding"),
    ("epoch", "an instant or a day (ISO 8601) in seconds since 1970"),
    ("epoch_ms", "an instant or a day (ISO 8601) in milliseconds since 1970"),
    ("number", "text that is a number, as a number"),
    ("text", "anything as text"),
    ("only(name, …)", "a map with these keys alone"),
    ("without(name, …)", "a map without these keys"),
    ("merge(map)", "a map with the entries of another laid over it"),
    ("blank_nulls", "a map with empty texts where it has nulls"),
    ("slack", "text in which Slack sees no markup: `&`, `<` and `>` are escaped"),
];

/// The SHA-256 digest in hex.
pub(super) fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// The HMAC-SHA-256 (RFC 2104).
pub(super) fn hmac_sha256(secret: &str, bytes: &[u8]) -> Vec<u8> {
    // A key of any length will do: this never fails.
    Hmac::<Sha256>::new_from_slice(secret.as_bytes()).map_or_else(
        |_| Vec::new(),
        |mut mac| {
            mac.update(bytes);
            mac.finalize().into_bytes().to_vec()
        },
    )
}

/// Base64 (RFC 4648, 4).
pub(super) fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// In small letters.
pub(super) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = bytes.iter().flat_map(|byte| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
    digits.map(char::from).collect()
}

fn email(text: &str) -> Option<String> {
    let text = text.trim().to_lowercase();
    let (local, domain) = text.rsplit_once('@')?;
    let is_whole = !local.is_empty() && !domain.is_empty() && !text.contains(char::is_whitespace);
    is_whole.then_some(text)
}

fn google_email(text: &str) -> Option<String> {
    let text = email(text)?;
    let (local, domain) = text.rsplit_once('@')?;
    if matches!(domain, "gmail.com" | "googlemail.com") {
        return Some(format!("{}@{domain}", local.replace('.', "")));
    }
    Some(text)
}

fn phone(text: &str) -> Option<String> {
    let text = text.trim();
    let digits = text.strip_prefix('+')?;
    let fits = (8..=15).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    (fits && !digits.starts_with('0')).then(|| text.to_owned())
}

fn country(text: &str) -> Option<String> {
    let text = text.trim().to_uppercase();
    (text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_uppercase())).then_some(text)
}

fn is_punctuation(letter: char) -> bool {
    letter.is_ascii_punctuation() || matches!(letter, '’' | '‘' | '“' | '”' | '«' | '»' | '…' | '–' | '—')
}

/// Registers every filter.
pub(super) fn register(environment: &mut Environment<'static>) {
    for (name, _) in NORMALISERS {
        let Some(normalise) = normaliser(name) else { continue };
        environment.add_filter(*name, move |value: Value| -> Result<Value, Error> {
            if value.is_none() || value.is_undefined() {
                return Ok(value);
            }
            Ok(normalise(&plain(&value)?).map_or(Value::from(()), Value::from))
        });
    }
    environment.add_filter(
        "or_omit",
        |value: Value| {
            if value.is_none() || value.len() == Some(0) { Value::UNDEFINED } else { value }
        },
    );
    environment.add_filter("hmac_sha256", |text: String, secret: String| hex(&hmac_sha256(&secret, text.as_bytes())));
    environment.add_filter("base64", |text: String| base64(text.as_bytes()));
    environment.add_filter("base64url", |text: String| URL_SAFE_NO_PAD.encode(text));
    environment.add_filter("epoch", |text: String| instant(&text).map(|at| at.timestamp()));
    environment.add_filter("epoch_ms", |text: String| instant(&text).map(|at| at.timestamp_millis()));
    environment.add_filter("number", |value: Value| -> Result<Value, Error> {
        match value.as_str() {
            None => Ok(value),
            Some(text) => match (text.parse::<i64>(), text.parse::<f64>()) {
                (Ok(whole), _) => Ok(Value::from(whole)),
                (_, Ok(number)) if number.is_finite() => Ok(Value::from(number)),
                _ => Err(Error::new(ErrorKind::InvalidOperation, "this text is no number")),
            },
        }
    });
    environment.add_filter("text", |value: Value| plain(&value));
    environment.add_filter("only", |map: Value, names: Rest<String>| {
        entries(&map, |name, value| names.iter().any(|known| known == name).then_some(value))
    });
    environment.add_filter("without", |map: Value, names: Rest<String>| {
        entries(&map, |name, value| (!names.iter().any(|known| known == name)).then_some(value))
    });
    environment.add_filter("merge", |map: Value, other: Value| -> Result<Value, Error> {
        // The later of two entries of one name stays.
        Ok(Value::from_pairs(pairs(&map)?.into_iter().chain(pairs(&other)?)))
    });
    environment.add_filter("blank_nulls", |map: Value| {
        entries(&map, |_, value| Some(if value.is_none() { Value::from("") } else { value }))
    });
    environment.add_filter("slack", |value: Value| {
        plain(&value).map(|text| text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;"))
    });
}

/// A map with its entries changed or left out.
fn entries(map: &Value, change: impl Fn(&str, Value) -> Option<Value>) -> Result<Value, Error> {
    let kept = pairs(map)?.into_iter().filter_map(|(name, value)| change(&name, value).map(|value| (name, value)));
    Ok(Value::from_pairs(kept))
}

fn pairs(map: &Value) -> Result<Vec<(String, Value)>, Error> {
    if map.kind() != ValueKind::Map {
        return Err(Error::new(ErrorKind::InvalidOperation, "this is no map"));
    }
    map.try_iter()?.map(|key| Ok((key.to_string(), map.get_item(&key)?))).collect()
}

fn plain(value: &Value) -> Result<String, Error> {
    match value.kind() {
        ValueKind::String | ValueKind::Number | ValueKind::Bool => Ok(value.to_string()),
        other => Err(Error::new(ErrorKind::InvalidOperation, format!("{other} is no text"))),
    }
}

fn instant(text: &str) -> Result<chrono::DateTime<chrono::Utc>, Error> {
    if let Ok(at) = chrono::DateTime::parse_from_rfc3339(text) {
        return Ok(at.to_utc());
    }
    let day = text.parse::<chrono::NaiveDate>().ok().and_then(|day| day.and_hms_opt(0, 0, 0));
    day.map(|day| day.and_utc())
        .ok_or_else(|| Error::new(ErrorKind::InvalidOperation, "this text is no instant and no day"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(name: &str, text: &str) -> Option<String> {
        normaliser(name).unwrap()(text)
    }

    #[test]
    fn every_normaliser_is_there() {
        for (name, _) in NORMALISERS {
            assert!(normaliser(name).is_some(), "{name}");
        }
        assert!(normaliser("soundex").is_none());
    }

    /// Google's published examples, and the cases in which vendors differ.
    #[test]
    fn vendors_write_contact_points_in_their_own_ways() {
        assert_eq!(written("email", " Jane.Doe@GMail.com ").as_deref(), Some("jane.doe@gmail.com"));
        assert_eq!(written("google_email", " Jane.Doe@GMail.com ").as_deref(), Some("janedoe@gmail.com"));
        assert_eq!(written("google_email", "jane.doe@shop.fr").as_deref(), Some("jane.doe@shop.fr"));
        for wrong in ["", "@", "jane", "@x.fr", "jane@", "ja ne@x.fr"] {
            assert_eq!(written("email", wrong), None, "{wrong}");
        }
        assert_eq!(written("phone", "+33612345678").as_deref(), Some("+33612345678"));
        assert_eq!(written("phone_digits", "+33612345678").as_deref(), Some("33612345678"));
        for wrong in ["0612345678", "+0612345678", "+33 6", "+3361234567890123"] {
            assert_eq!(written("phone", wrong), None, "{wrong}");
        }
        assert_eq!(written("name", " O’Connor-Smith ").as_deref(), Some("oconnorsmith"));
        assert_eq!(written("country", "fr").as_deref(), Some("FR"));
        assert_eq!(written("country", "France"), None);
    }

    /// NIST's and RFC 4231's vectors.
    #[test]
    fn digests_are_the_standards() {
        assert_eq!(
            written("sha256", "abc").as_deref(),
            Some("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
        );
        assert_eq!(written("md5", "abc").as_deref(), Some("900150983cd24fb0d6963f7d28e17f72"));
        assert_eq!(
            hex(&hmac_sha256("Jefe", b"what do ya want for nothing?")),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }
}
