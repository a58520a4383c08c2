//! The double nearest to a fraction of whole numbers: rounded once, whatever the size of the numbers.

/// What doubles hold exactly.
const EXACT: u128 = 1 << 53;

/// `numerator / denominator`, rounded once to nearest, ties to even. The denominator is above zero and below 2^126.
pub(super) fn ratio(numerator: i128, denominator: u128) -> f64 {
    let size = numerator.unsigned_abs();
    let magnitude = if size <= EXACT && denominator <= EXACT {
        // Both are exact, so the division is the only rounding.
        size as f64 / denominator as f64
    } else {
        long_division(size, denominator)
    };
    if numerator < 0 { -magnitude } else { magnitude }
}

fn long_division(size: u128, denominator: u128) -> f64 {
    let (mut quotient, mut rest, mut exponent) = (size / denominator, size % denominator, 0);
    // More bits than a double holds, and a last one that says whether anything was cut off.
    while quotient < 1 << 60 && rest != 0 {
        rest <<= 1;
        quotient <<= 1;
        exponent -= 1;
        if rest >= denominator {
            rest -= denominator;
            quotient |= 1;
        }
    }
    if rest != 0 {
        quotient |= 1;
    }
    quotient as f64 * 2_f64.powi(exponent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_and_small_fractions() {
        let fractions = [
            (0, 3, 0.0),
            (1, 3, 1.0 / 3.0),
            (-5, 2, -2.5),
            (i128::MIN, 1, -(2_f64.powi(127))),
            (1, 1 << 100, 2_f64.powi(-100)),
        ];
        for (numerator, denominator, wanted) in fractions {
            assert_eq!(ratio(numerator, denominator).to_bits(), wanted.to_bits(), "{numerator} / {denominator}");
        }
    }

    proptest::proptest! {
        #[test]
        fn a_decimal_is_the_double_that_its_text_is(value: i128) {
            let size = value.unsigned_abs();
            let sign = if value < 0 { "-" } else { "" };
            let text = format!("{sign}{}.{:09}", size / 1_000_000_000, size % 1_000_000_000);
            proptest::prop_assert_eq!(ratio(value, 1_000_000_000).to_bits(), text.parse::<f64>().unwrap().to_bits());
        }

        #[test]
        fn long_division_agrees_with_the_short_one(size in 0_u128..EXACT, denominator in 1_u128..EXACT) {
            proptest::prop_assert_eq!(long_division(size, denominator).to_bits(), (size as f64 / denominator as f64).to_bits());
        }
    }
}
