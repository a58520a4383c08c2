//! The text of a customer's id.

use std::fmt;
use std::str::FromStr;

/// An id such as `c_0f3a…`: `c_` and twenty hexadecimal digits, kept as ten bytes.
///
/// Eighty bits of a hash: among a hundred million ids some pair collides with odds of 1 in 240 million, and
/// [`super::name()`] looks before it mints, so that even then no two customers share an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CustomerId([u8; 10]);

impl CustomerId {
    /// The id that a node mints for the `ordinal`-th time (from 0).
    #[must_use]
    pub fn minted(entity: &str, source: &str, key: &str, ordinal: u32) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("cohorte customer id, first version");
        // Each text is preceded by its length, so that no two lists of texts hash the same bytes.
        for text in [entity, source, key] {
            hasher.update(&(text.len() as u64).to_le_bytes()).update(text.as_bytes());
        }
        hasher.update(&ordinal.to_le_bytes());
        let mut bytes = [0; 10];
        hasher.finalize_xof().fill(&mut bytes);
        Self(bytes)
    }
}

impl CustomerId {
    /// Where it lies among all ids that there could be, as a fraction of 2⁶⁴.
    pub(crate) fn share(self) -> u64 {
        self.0.iter().take(8).fold(0, |all, byte| all << 8 | u64::from(*byte))
    }
}

/// An id, spelt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdText([u8; 22]);

impl From<CustomerId> for IdText {
    fn from(id: CustomerId) -> Self {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut text = *b"c_00000000000000000000";
        for (pair, byte) in text[2..].chunks_exact_mut(2).zip(id.0) {
            pair[0] = DIGITS[usize::from(byte >> 4)];
            pair[1] = DIGITS[usize::from(byte & 15)];
        }
        Self(text)
    }
}

impl AsRef<str> for IdText {
    fn as_ref(&self) -> &str {
        // All of them are digits.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Display for CustomerId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(IdText::from(*self).as_ref())
    }
}

/// A text that is no customer id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotAnId;

impl fmt::Display for NotAnId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a customer id is `c_` and twenty hexadecimal digits")
    }
}

impl std::error::Error for NotAnId {}

impl FromStr for CustomerId {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Self, NotAnId> {
        let digits = text.strip_prefix("c_").filter(|digits| digits.len() == 20).ok_or(NotAnId)?;
        let mut bytes = [0; 10];
        for (byte, pair) in bytes.iter_mut().zip(digits.as_bytes().chunks_exact(2)) {
            // One spelling per id: capitals are refused.
            let digit = |digit: u8| match digit {
                b'0'..=b'9' => Ok(digit - b'0'),
                b'a'..=b'f' => Ok(digit - b'a' + 10),
                _ => Err(NotAnId),
            };
            *byte = digit(pair[0])? << 4 | digit(pair[1])?;
        }
        Ok(Self(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_back() {
        let id = CustomerId::minted("customer", "crm", "1", 0);
        let text = id.to_string();
        assert_eq!(text.len(), 22);
        assert_eq!(text.parse(), Ok(id));
        for bad in [
            "",
            "c_",
            "c_00",
            &text.to_uppercase(),
            &text.replace("c_", "d_"),
            &format!("{text}0"),
            "c_+0000000000000000000",
        ] {
            assert_eq!(bad.parse::<CustomerId>(), Err(NotAnId));
        }
    }

    /// Ids are for ever: this value may never change.
    #[test]
    fn the_hash_is_frozen() {
        assert_eq!(CustomerId::minted("customer", "crm", "1", 0).to_string(), "c_e4c3383b179155abdec0");
    }

    #[test]
    fn every_part_counts() {
        let all = [("a", "b", "c", 0), ("ab", "", "c", 0), ("a", "bc", "", 0), ("a", "b", "c", 1), ("", "ab", "c", 0)];
        let mut ids: Vec<_> =
            all.iter().map(|(entity, source, key, n)| CustomerId::minted(entity, source, key, *n)).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), all.len());
    }
}
