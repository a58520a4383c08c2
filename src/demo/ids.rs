//! Identifiers that look opaque and never collide: bijections of small numbers.

use std::fmt;

/// What an identifier names: each kind shuffles in its own way.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    Contact = 1,
    Account = 2,
    Device = 3,
    SharedDevice = 4,
    Order = 5,
    Ticket = 6,
    Card = 7,
    Phone = 8,
    Cart = 9,
    Support = 10,
    Proof = 11,
}

const BITS: u32 = 40;
const MASK: u64 = (1 << BITS) - 1;
const LETTERS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
/// Prefixes of French mobile numbers, the national zero left out.
const MOBILE: [u64; 9] = [61, 62, 65, 66, 67, 68, 76, 77, 78];
const MOBILES: u64 = MOBILE.len() as u64 * 10_000_000;

/// A bijection of the numbers below 2^40.
fn shuffle(seed: u64, kind: Kind, number: u64) -> u64 {
    let salt = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (kind as u64).wrapping_mul(0xd1b5_4a32_d192_ed03);
    let mut x = (number ^ salt) & MASK;
    for round in 0..3 {
        x = x.wrapping_mul(0x00bf_5847_6d1c_e4e5 | 1).wrapping_add(salt >> (8 * round)) & MASK;
        x ^= x >> 19;
    }
    x
}

/// Eight letters and digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Code([u8; 8]);

impl Code {
    pub(crate) fn as_str(&self) -> &str {
        // Letters and digits of ASCII are text.
        str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Display for Code {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// Eight letters and digits for a number below 2^40.
pub(crate) fn code(seed: u64, kind: Kind, number: u64) -> Code {
    let x = shuffle(seed, kind, number);
    Code(std::array::from_fn(|place| LETTERS[(x >> (5 * (7 - place))) as usize & 31]))
}

/// Thirteen digits for a number below 2^40, as under a bar code.
pub(crate) fn digits(seed: u64, kind: Kind, number: u64) -> String {
    format!("{:013}", shuffle(seed, kind, number))
}

/// The key of a distinct tuple of identifiers: a JSON array, as identity writes composite keys.
pub(crate) fn tuple_key(values: &[Option<&str>]) -> String {
    serde_json::to_string(values).unwrap_or_default()
}

/// The nine significant digits of a person's own mobile number: distinct for the first ninety million people.
pub(crate) fn mobile(seed: u64, number: u64) -> u64 {
    let offset = shuffle(seed, Kind::Phone, 0);
    // The factor has no divisor in common with the number of numbers (2, 3 and 5), so this too is a bijection.
    let x = (number % MOBILES * 61_803_397 + offset) % MOBILES;
    MOBILE[(x / 10_000_000) as usize] * 10_000_000 + x % 10_000_000
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn nothing_collides() {
        let codes: BTreeSet<Code> = (0..20_000).map(|number| code(1, Kind::Order, number)).collect();
        assert_eq!(codes.len(), 20_000);
        let phones: BTreeSet<u64> = (0..20_000).map(|number| mobile(1, number)).collect();
        assert_eq!(phones.len(), 20_000);
        assert!(phones.iter().all(|phone| (600_000_000..800_000_000).contains(phone)));
    }

    #[test]
    fn keys_are_json() {
        assert_eq!(tuple_key(&[Some("a"), None]), r#"["a",null]"#);
    }

    #[test]
    fn kinds_and_seeds_differ() {
        assert_ne!(code(1, Kind::Order, 5), code(1, Kind::Ticket, 5));
        assert_ne!(code(1, Kind::Order, 5), code(2, Kind::Order, 5));
    }
}
