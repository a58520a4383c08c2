//! `cohorte_given_name` and `cohorte_family_name`: one spelling per name, and no placeholders.

use datafusion::arrow::datatypes::DataType;
use unicode_normalization::UnicodeNormalization;

use super::call::{Function, Kind, Takes, reasons, texts};
use super::name_case::{Part, title_case};
use super::{EMPTY, PLACEHOLDER, Reason};

/// Typed instead of a name, in the languages of our users; compared without case, dots and blanks at the ends.
const PLACEHOLDERS: [&str; 34] = [
    "anonyme",
    "anonymous",
    "asdf",
    "aucun",
    "azerty",
    "client",
    "customer",
    "desconocido",
    "family name",
    "first name",
    "firstname",
    "guest",
    "inconnu",
    "inconnue",
    "invité",
    "last name",
    "lastname",
    "n/a",
    "n/c",
    "name",
    "nc",
    "nd",
    "nom",
    "non renseigné",
    "none",
    "null",
    "prenom",
    "prénom",
    "qwerty",
    "surname",
    "tbd",
    "test",
    "unknown",
    "unbekannt",
];

pub(super) fn functions() -> Vec<Function> {
    let takes = Takes::Exactly(&[Kind::Text]);
    vec![
        Function::new("cohorte_given_name", takes, DataType::Utf8View, |arguments| {
            let text = arguments.text(0)?;
            Ok(texts(arguments.rows, |row| normalise_given_name(text.at(row)?).ok()))
        }),
        Function::new("cohorte_given_name_reason", takes, DataType::Utf8View, |arguments| {
            let text = arguments.text(0)?;
            Ok(reasons(arguments.rows, |row| text.at(row).map(normalise_given_name)))
        }),
        Function::new("cohorte_family_name", takes, DataType::Utf8View, |arguments| {
            let text = arguments.text(0)?;
            Ok(texts(arguments.rows, |row| normalise_family_name(text.at(row)?).ok()))
        }),
        Function::new("cohorte_family_name_reason", takes, DataType::Utf8View, |arguments| {
            let text = arguments.text(0)?;
            Ok(reasons(arguments.rows, |row| text.at(row).map(normalise_family_name)))
        }),
    ]
}

/// A given name as it is written (`JEAN-PIERRE` is `Jean-Pierre`), or why it is none.
pub fn normalise_given_name(text: &str) -> Result<String, Reason> {
    normalise(text, Part::Given)
}

/// A family name as it is written (`D'ORMESSON` is `d'Ormesson`), or why it is none.
pub fn normalise_family_name(text: &str) -> Result<String, Reason> {
    normalise(text, Part::Family)
}

fn normalise(text: &str, part: Part) -> Result<String, Reason> {
    let text = tidy(text);
    if text.is_empty() {
        return Err(EMPTY);
    }
    if text.chars().count() > 100 {
        return Err("too long");
    }
    if text.contains('@') {
        return Err("looks like an e-mail address");
    }
    let lower = text.to_lowercase();
    let mut letters = lower.chars().filter(|c| c.is_alphabetic());
    let Some(first) = letters.next() else { return Err("no letters") };
    let others = letters.clone().count();
    let one_letter_repeated = others >= 2 && letters.all(|letter| letter == first);
    let word = lower.trim_matches(|c: char| c == '.' || c.is_whitespace());
    if one_letter_repeated || PLACEHOLDERS.contains(&word) || word == "n.a" || word == "n.c" {
        return Err(PLACEHOLDER);
    }
    Ok(title_case(&text, part))
}

/// Composed Unicode, one kind of apostrophe, hyphen and space, single spaces, none around hyphens and apostrophes.
fn tidy(text: &str) -> String {
    let mut tidy = String::with_capacity(text.len());
    let mut space = false;
    for c in text.nfc() {
        let c = match c {
            '\u{2019}' | '\u{2018}' | '`' | '\u{b4}' | '\u{2bc}' => '\'',
            '\u{2010}'..='\u{2013}' | '\u{ad}' => '-',
            '\u{200b}'..='\u{200f}' | '\u{feff}' | '"' => continue,
            c if c.is_control() => ' ',
            c => c,
        };
        if c.is_whitespace() {
            space = !tidy.is_empty();
        } else {
            let glued = c == '-' || c == '\'' || tidy.ends_with(['-', '\'']);
            if space && !glued {
                tidy.push(' ');
            }
            space = false;
            tidy.push(c);
        }
    }
    tidy.trim_matches(|c: char| matches!(c, ',' | ';' | '-' | ' ' | '\'')).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::functions::tests::row;

    #[test]
    fn given_names() {
        let vectors = [
            // From googleads/data-manager-python tests/formatter_test.py (Apache-2.0), which lower-cases later.
            ("Givenname", "Givenname"),
            // Our own.
            ("JEAN-PIERRE", "Jean-Pierre"),
            ("jean - pierre", "Jean-Pierre"),
            ("  marie   claire ", "Marie Claire"),
            ("e\u{301}lodie", "Élodie"),
            ("N\u{2019}GOLO", "N'Golo"),
            ("D'ANGELO", "D'Angelo"),
            ("josé da silva", "José da Silva"),
            ("MARIE DE LOURDES", "Marie de Lourdes"),
            ("Van", "Van"),
            ("LeBron", "LeBron"),
            ("j.", "J."),
            ("ŒDIPE", "Œdipe"),
            ("j.-c.", "J.-C."),
        ];
        for (given, wanted) in vectors {
            assert_eq!(normalise_given_name(given).as_deref(), Ok(wanted), "{given}");
        }
    }

    #[test]
    fn family_names() {
        let vectors = [
            ("D'ORMESSON", "d'Ormesson"),
            ("d\u{2019} ormesson", "d'Ormesson"),
            ("LE GALL", "Le Gall"),
            ("DE LA FONTAINE", "de La Fontaine"),
            ("De Gaulle", "de Gaulle"),
            ("VAN DER BERG", "van der Berg"),
            ("von trapp", "von Trapp"),
            ("SAINT-EXUPÉRY", "Saint-Exupéry"),
            ("dupont-d'aubigné", "Dupont-d'Aubigné"),
            ("O'BRIEN", "O'Brien"),
            ("MCDONALD", "McDonald"),
            ("MacDonald", "MacDonald"),
            ("l'hermite", "L'Hermite"),
            ("DOS SANTOS", "dos Santos"),
            ("ORTEGA Y GASSET", "Ortega y Gasset"),
            ("de", "De"),
            ("STRAUSS-KAHN", "Strauss-Kahn"),
            ("ıŞıK", "Işık"),
        ];
        for (given, wanted) in vectors {
            assert_eq!(normalise_family_name(given).as_deref(), Ok(wanted), "{given}");
        }
    }

    #[test]
    fn what_is_no_name_has_a_reason() {
        let vectors = [
            ("", "empty"),
            (" \u{200b} ", "empty"),
            ("-", "empty"),
            ("12345", "no letters"),
            ("???", "no letters"),
            ("a@b.fr", "looks like an e-mail address"),
            ("test", "placeholder"),
            ("TEST", "placeholder"),
            ("N/A", "placeholder"),
            ("n.a.", "placeholder"),
            ("xxx", "placeholder"),
            ("X X X", "placeholder"),
            ("Inconnu", "placeholder"),
            ("prénom", "placeholder"),
        ];
        for (given, wanted) in vectors {
            assert_eq!(normalise_given_name(given), Err(wanted), "{given}");
        }
        assert_eq!(normalise_family_name(&"ab".repeat(60)), Err("too long"));
    }

    #[tokio::test]
    async fn in_sql() {
        let sql = "select cohorte_given_name('ANNE'), cohorte_given_name('xxx'), cohorte_given_name_reason('xxx'), \
                   cohorte_family_name('DE SADE'), cohorte_family_name_reason('DE SADE')";
        assert_eq!(row(sql).await, ["Anne", "", "placeholder", "de Sade", ""]);
    }

    proptest::proptest! {
        #[test]
        fn normalising_twice_changes_nothing(text in "[A-Za-zÉéœ' -]{1,20}") {
            for part in [Part::Given, Part::Family] {
                if let Ok(once) = normalise(&text, part) {
                    proptest::prop_assert_eq!(normalise(&once, part), Ok(once.clone()));
                }
            }
        }

        #[test]
        fn any_text_is_answered(text in ".{0,40}") {
            let _ = normalise_family_name(&text);
        }
    }
}
