//! How records go wrong: typing errors, lost accents, shouted names, swapped digits, values that stand for none.

use super::dice::Dice;

/// Lower case without accents, of letters alone: what people make of their name in an e-mail address.
pub(crate) fn ascii(text: &str) -> String {
    without_accents(text).to_lowercase().chars().filter(char::is_ascii_alphanumeric).collect()
}

/// The same text without accents.
pub(crate) fn without_accents(text: &str) -> String {
    let plain = |letter| match letter {
        'à' | 'â' | 'ä' | 'á' | 'ã' => 'a',
        'ç' => 'c',
        'é' | 'è' | 'ê' | 'ë' => 'e',
        'î' | 'ï' | 'í' => 'i',
        'ñ' => 'n',
        'ô' | 'ö' | 'ó' | 'õ' => 'o',
        'ù' | 'û' | 'ü' | 'ú' => 'u',
        'ÿ' => 'y',
        'À' | 'Â' | 'Ä' => 'A',
        'Ç' => 'C',
        'É' | 'È' | 'Ê' | 'Ë' => 'E',
        'Î' | 'Ï' => 'I',
        'Ô' | 'Ö' => 'O',
        'Ù' | 'Û' | 'Ü' => 'U',
        other => other,
    };
    text.chars().map(plain).collect()
}

/// One typing error: two letters change places, one is lost, or one comes twice.
pub(crate) fn typo(dice: &mut Dice, text: &str) -> String {
    let mut letters: Vec<char> = text.chars().collect();
    if letters.len() < 4 {
        return text.to_owned();
    }
    let at = 1 + dice.below(letters.len() as u64 - 2) as usize;
    match dice.below(3) {
        0 => letters.swap(at, at + 1),
        1 => drop(letters.remove(at)),
        _ => letters.insert(at, letters[at]),
    }
    letters.into_iter().collect()
}

/// A name as somebody in a hurry types it.
pub(crate) fn name(dice: &mut Dice, name: &str) -> String {
    match dice.below(10) {
        0 | 1 => name.to_uppercase(),
        2 => without_accents(name).to_uppercase(),
        3 => without_accents(name),
        4 => name.to_lowercase(),
        5 | 6 => typo(dice, name),
        7 => format!(" {name} "),
        _ => name.to_owned(),
    }
}

/// A mobile number in one of the ways in which it is written.
pub(crate) fn phone(dice: &mut Dice, mobile: u64) -> String {
    let digits = mobile.to_string();
    let pairs = |separator: &str| {
        let rest: Vec<&str> = (1..9).step_by(2).filter_map(|at| digits.get(at..at + 2)).collect();
        format!("{}{separator}{}", &digits[..1], rest.join(separator))
    };
    match dice.below(8) {
        0 | 1 => format!("0{}", pairs(" ")),
        2 => format!("0{}", pairs(".")),
        3 => format!("+33{digits}"),
        4 => format!("+33 {}", pairs(" ")),
        5 => format!("0033{digits}"),
        _ => format!("0{digits}"),
    }
}

/// Two digits that change places.
pub(crate) fn swap_digits(dice: &mut Dice, mobile: u64) -> u64 {
    let mut digits: Vec<u8> = mobile.to_string().into_bytes();
    let at = 3 + dice.below(digits.len() as u64 - 4) as usize;
    digits.swap(at, at + 1);
    digits.iter().fold(0, |number, digit| number * 10 + u64::from(digit - b'0'))
}

/// What is typed where a telephone number must be and none is at hand.
pub(crate) fn no_phone(dice: &mut Dice) -> &'static str {
    ["0600000000", "0600000000", "06 00 00 00 00", "0102030405", "NC", "-"][dice.below(6) as usize]
}

/// What is typed where an address must be: no address, or the shop's own.
pub(crate) fn no_email(dice: &mut Dice, email: &str) -> String {
    match dice.below(8) {
        0 => email.replace('@', " "),
        1 => email.split('@').next().unwrap_or_default().to_owned() + "@",
        2 => email.replace(".example", ""),
        3 => "pas de mail".to_owned(),
        4 => "inconnu@example.com".to_owned(),
        5 | 6 => "caisse@maison.example".to_owned(),
        _ => "noreply@maison.example".to_owned(),
    }
}

/// The same address as typed another time.
pub(crate) fn email(dice: &mut Dice, email: &str) -> String {
    match dice.below(6) {
        0 => email.to_uppercase(),
        1 => format!("{email} "),
        2 => {
            let mut letters = email.chars();
            letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
        }
        3 => email.replace("gmail.", "gmial.").replace("hotmail.", "hotmial."),
        _ => email.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::dice::Topic;

    #[test]
    fn names_become_addresses() {
        assert_eq!(ascii("Éloïse"), "eloise");
        assert_eq!(ascii("Le Goff"), "legoff");
        assert_eq!(ascii("Jean-François"), "jeanfrancois");
    }

    #[test]
    fn a_number_keeps_its_digits() {
        let mut dice = Dice::new(1, Topic::Contacts, 1);
        for _ in 0..100 {
            let digits: String = phone(&mut dice, 612_345_678).chars().filter(char::is_ascii_digit).collect();
            assert!(digits.ends_with("612345678"));
        }
        assert_eq!(swap_digits(&mut dice, 612_345_678).to_string().len(), 9);
    }

    #[test]
    fn a_typo_is_small() {
        let mut dice = Dice::new(1, Topic::Contacts, 2);
        for _ in 0..100 {
            assert!(strsim::damerau_levenshtein(&typo(&mut dice, "Camille"), "Camille") <= 1);
        }
        assert_eq!(typo(&mut dice, "Léa"), "Léa");
    }
}
