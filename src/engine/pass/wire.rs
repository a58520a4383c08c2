//! How a group's state is written between partial and final aggregation, and into spill files.

use datafusion::common::{DataFusionError, Result, exec_datafusion_err};

/// Appends an unsigned number, seven bits a byte.
pub(super) fn push_unsigned(out: &mut Vec<u8>, mut value: u128) {
    while value >= 0x80 {
        out.push((value as u8) | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends a length or a place.
pub(super) fn push_usize(out: &mut Vec<u8>, value: usize) {
    push_unsigned(out, value as u128);
}

/// Appends a signed number, so that those near zero are short.
pub(super) fn push_signed(out: &mut Vec<u8>, value: i128) {
    push_unsigned(out, ((value << 1) ^ (value >> 127)) as u128);
}

/// Appends a text with its length.
pub(super) fn push_text(out: &mut Vec<u8>, text: &str) {
    push_usize(out, text.len());
    out.extend_from_slice(text.as_bytes());
}

/// What is left to read of a group's state.
pub(super) struct Wire<'a>(pub(super) &'a [u8]);

impl<'a> Wire<'a> {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The next so many bytes by themselves.
    pub(super) fn part(&mut self) -> Result<Self> {
        let length: usize = self.number()?;
        let (part, rest) = self.0.split_at_checked(length).ok_or_else(broken)?;
        self.0 = rest;
        Ok(Self(part))
    }

    pub(super) fn unsigned(&mut self) -> Result<u128> {
        let mut value = 0_u128;
        for shift in (0..133).step_by(7) {
            let (byte, rest) = self.0.split_first().ok_or_else(broken)?;
            self.0 = rest;
            value |= u128::from(byte & 0x7f) << shift.min(127);
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(broken())
    }

    pub(super) fn number<T: TryFrom<u128>>(&mut self) -> Result<T> {
        T::try_from(self.unsigned()?).map_err(|_| broken())
    }

    /// A place below a bound.
    pub(super) fn place(&mut self, bound: usize) -> Result<usize> {
        self.number().and_then(|place| if place < bound { Ok(place) } else { Err(broken()) })
    }

    pub(super) fn signed<T: TryFrom<i128>>(&mut self) -> Result<T> {
        let value = self.unsigned()?;
        T::try_from((value >> 1) as i128 ^ -((value & 1) as i128)).map_err(|_| broken())
    }

    pub(super) fn text(&mut self) -> Result<&'a str> {
        let part = self.part()?;
        std::str::from_utf8(part.0).map_err(|_| broken())
    }
}

/// A state that this function did not write, or not of these rows.
pub(super) fn broken() -> DataFusionError {
    exec_datafusion_err!(
        "what was remembered of rows does not fit them; `cohorte build --full-refresh` reads all of them again"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn what_is_written_is_read(unsigned: u128, signed: i128, long: i64, text in ".{0,8}") {
            let mut out = Vec::new();
            push_unsigned(&mut out, unsigned);
            push_signed(&mut out, signed);
            push_signed(&mut out, long.into());
            push_text(&mut out, &text);
            let mut wire = Wire(&out);
            proptest::prop_assert_eq!(wire.unsigned().unwrap(), unsigned);
            proptest::prop_assert_eq!(wire.signed::<i128>().unwrap(), signed);
            proptest::prop_assert_eq!(wire.signed::<i64>().unwrap(), long);
            proptest::prop_assert_eq!(wire.text().unwrap(), text);
            proptest::prop_assert!(wire.unsigned().is_err());
        }

        #[test]
        fn noise_is_an_error_or_a_value(bytes: Vec<u8>) {
            let _ = Wire(&bytes).unsigned();
            let _ = Wire(&bytes).signed::<i64>();
            let _ = Wire(&bytes).text();
        }
    }
}
