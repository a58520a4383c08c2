//! `cohorte_email`: one spelling per address.

use std::borrow::Cow;

use datafusion::arrow::datatypes::DataType;
use unicode_normalization::UnicodeNormalization;

use super::call::{Function, Kind, Takes, reasons, texts};
use super::{EMPTY, PLACEHOLDER, Reason};

/// Typed instead of an address.
const NOT_AN_ADDRESS: [&str; 12] =
    ["-", "?", ".", "n/a", "na", "nc", "none", "null", "aucun", "inconnu", "unknown", "pas d'email"];
/// Local parts that nobody has.
const NOBODY: [&str; 11] = [
    "noemail",
    "no-email",
    "no.email",
    "no_email",
    "nomail",
    "no-mail",
    "sansmail",
    "sansemail",
    "pasdemail",
    "pasdemel",
    "pasdadresse",
];
/// Placeholders where the domain says the same (`test@test.com`).
const TWICE: [&str; 8] = ["test", "none", "null", "na", "email", "mail", "abc", "exemple"];

pub(super) fn functions() -> Vec<Function> {
    let takes = Takes::Exactly(&[Kind::Text]);
    vec![
        Function::new("cohorte_email", takes, DataType::Utf8View, |arguments| {
            let text = arguments.text(0)?;
            Ok(texts(arguments.rows, |row| normalise_email(text.at(row)?).ok()))
        }),
        Function::new("cohorte_email_reason", takes, DataType::Utf8View, |arguments| {
            let text = arguments.text(0)?;
            Ok(reasons(arguments.rows, |row| text.at(row).map(normalise_email)))
        }),
    ]
}

/// The address without `mailto:` and blanks, lower-case, in Unicode's composed form; or why it is none.
///
/// Only the syntax that mail is delivered to is accepted: no quoted local part, no comment, a domain of two labels or
/// more. Dots and tags of the local part stay: whether they matter is for each destination to say.
pub fn normalise_email(text: &str) -> Result<Cow<'_, str>, Reason> {
    let address = bare(text);
    if address.is_empty() {
        return Err(EMPTY);
    }
    let plain = address.is_ascii() && !address.bytes().any(|byte| byte.is_ascii_uppercase());
    let address = if plain {
        Cow::Borrowed(address)
    } else if address.is_ascii() {
        Cow::Owned(address.to_ascii_lowercase())
    } else {
        Cow::Owned(address.nfc().collect::<String>().to_lowercase().nfc().collect())
    };
    if NOT_AN_ADDRESS.contains(&address.as_ref()) {
        return Err(PLACEHOLDER);
    }
    let (local, domain) = address.split_once('@').ok_or("no @")?;
    if domain.contains('@') {
        return Err("several @");
    }
    if !is_local_part(local) {
        return Err("bad local part");
    }
    if !is_domain(domain) {
        return Err("bad domain");
    }
    let first_label = domain.split('.').next().unwrap_or_default();
    let same_letter = local.bytes().all(|byte| byte == local.as_bytes()[0]);
    if NOBODY.contains(&local) || (local == first_label && (TWICE.contains(&local) || same_letter)) {
        return Err(PLACEHOLDER);
    }
    Ok(address)
}

/// Without what surrounds an address when it is pasted: blanks, invisible spaces, `<>`, `mailto:` and its query.
fn bare(text: &str) -> &str {
    let invisible = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '\u{200b}'..='\u{200f}' | '\u{feff}');
    let text = text.trim_matches(invisible);
    let text = text.strip_prefix('<').and_then(|text| text.strip_suffix('>')).unwrap_or(text);
    match text.get(..7) {
        Some(scheme) if scheme.eq_ignore_ascii_case("mailto:") => {
            let text = &text[7..];
            text.split_once('?').map_or(text, |(address, _)| address).trim_matches(invisible)
        }
        _ => text.trim_matches(invisible),
    }
}

fn is_local_part(local: &str) -> bool {
    let allowed = |c: char| {
        c.is_alphanumeric() || matches!(c, '!' | '#'..='\'' | '*' | '+' | '-'..='/' | '=' | '?' | '^'..='`' | '{'..='~')
    };
    !local.is_empty()
        && local.len() <= 64
        && !local.starts_with('.')
        && !local.ends_with('.')
        && !local.contains("..")
        && local.chars().all(allowed)
}

fn is_domain(domain: &str) -> bool {
    let is_label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|c| c.is_alphanumeric() || c == '-')
    };
    let Some((_, top)) = domain.rsplit_once('.') else { return false };
    let is_top = top.chars().count() >= 2 && (top.starts_with("xn--") || top.chars().all(char::is_alphabetic));
    domain.len() <= 253 && is_top && domain.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::functions::tests::row;

    #[test]
    fn addresses_get_one_spelling() {
        let vectors = [
            // From googleads/data-manager-python tests/formatter_test.py (Apache-2.0), before its Gmail-only rules.
            ("QuinnY@example.com", "quinny@example.com"),
            ("QuinnY@EXAMPLE.com", "quinny@example.com"),
            ("  alexz@EXAMPLE.com   ", "alexz@example.com"),
            ("Jefferson.Loves.hiking@gmail.com", "jefferson.loves.hiking@gmail.com"),
            // Our own.
            ("mailto:Anne.Le-Gall+promo@Exemple.FR?subject=x", "anne.le-gall+promo@exemple.fr"),
            ("MAILTO: a@b.fr", "a@b.fr"),
            ("\u{feff}\u{a0}<A@b.co.uk>\t", "a@b.co.uk"),
            ("o'brien@test.ie", "o'brien@test.ie"),
            ("Rene\u{301}@exemple.fr", "rené@exemple.fr"),
            ("x@xn--bcher-kva.xn--p1ai", "x@xn--bcher-kva.xn--p1ai"),
        ];
        for (given, wanted) in vectors {
            assert_eq!(normalise_email(given).as_deref(), Ok(wanted), "{given}");
        }
    }

    #[test]
    fn what_is_no_address_has_a_reason() {
        let vectors = [
            ("", "empty"),
            ("  ", "empty"),
            ("mailto:", "empty"),
            ("quinn", "no @"),
            (" @googlemail.com", "bad local part"),
            (" ...@gmail.com", "bad local part"),
            ("a b@c.fr", "bad local part"),
            ("\"a b\"@c.fr", "bad local part"),
            ("a..b@c.fr", "bad local part"),
            ("a@b@c.fr", "several @"),
            ("a@localhost", "bad domain"),
            ("a@b.c", "bad domain"),
            ("a@b..fr", "bad domain"),
            ("a@-b.fr", "bad domain"),
            ("a@b.fr.", "bad domain"),
            ("a@127.0.0.1", "bad domain"),
            ("a@gmail,com", "bad domain"),
            ("N/A", "placeholder"),
            ("inconnu", "placeholder"),
            ("test@test.com", "placeholder"),
            ("xxx@xxx.fr", "placeholder"),
            ("pasdemail@gmail.com", "placeholder"),
        ];
        for (given, wanted) in vectors {
            assert_eq!(normalise_email(given), Err(wanted), "{given}");
        }
    }

    #[tokio::test]
    async fn in_sql_the_reason_is_null_for_valid_and_for_missing() {
        let sql = "select cohorte_email('x'), cohorte_email_reason('x'), cohorte_email_reason(null), \
                   cohorte_email_reason('a@b.fr') is null";
        assert_eq!(row(sql).await, ["", "no @", "", "true"]);
    }

    proptest::proptest! {
        #[test]
        fn normalising_twice_changes_nothing(text in "[ A-Za-zÉé.+'@-]{0,12}@[A-Za-zé.-]{1,10}\\.[A-Za-z]{2,3}") {
            if let Ok(once) = normalise_email(&text) {
                proptest::prop_assert_eq!(normalise_email(&once), Ok(Cow::Borrowed(once.as_ref())));
            }
        }

        #[test]
        fn any_text_is_answered(text in ".{0,40}") {
            let _ = normalise_email(&text);
        }
    }
}
