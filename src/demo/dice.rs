//! Reproducible chance: one `ChaCha` stream per (seed, topic, number), and draws whose arithmetic is fixed here.
//!
//! The draws are written out, not taken from a library's distributions, so that a new version of a library cannot
//! change a byte of what was generated.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

/// What a stream is about. Each topic has its own streams, so that drawing more in one leaves the others as they were.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Topic {
    Block = 1,
    Household = 2,
    Person = 3,
    Presence = 4,
    Contacts = 5,
    Purchases = 6,
    Web = 7,
    Messages = 8,
    Catalogue = 9,
}

/// A stream of chance.
pub(crate) struct Dice(ChaCha8Rng);

impl Dice {
    /// The stream of `number` in `topic`.
    pub(crate) fn new(seed: u64, topic: Topic, number: u64) -> Self {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        key[8] = topic as u8;
        let mut rng = ChaCha8Rng::from_seed(key);
        rng.set_stream(number);
        Self(rng)
    }

    /// A number below `n`; 0 where `n` is 0.
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        ((u128::from(self.0.next_u64()) * u128::from(n)) >> 64) as u64
    }

    /// A number from `low` to `high`, both included; `low` where the range is empty.
    pub(crate) fn between(&mut self, low: i64, high: i64) -> i64 {
        low + self.below((high - low + 1).max(1) as u64) as i64
    }

    /// True with probability `p`.
    pub(crate) fn chance(&mut self, p: f64) -> bool {
        f64::from(self.0.next_u32()) < p * 4_294_967_296.0
    }

    /// One of `items`, which are not empty.
    pub(crate) fn pick<'a, T: ?Sized>(&mut self, items: &[&'a T]) -> &'a T {
        items[self.below(items.len() as u64) as usize]
    }

    /// An index by weight; the last one where the weights are used up.
    pub(crate) fn weighted(&mut self, weights: &[u32]) -> usize {
        let mut rest = self.below(weights.iter().map(|&weight| u64::from(weight)).sum());
        for (index, &weight) in weights.iter().enumerate() {
            if rest < u64::from(weight) {
                return index;
            }
            rest -= u64::from(weight);
        }
        weights.len().saturating_sub(1)
    }

    /// A count around `mean`: as many heads of `2 × mean` coins (rounded up), so never more than that.
    pub(crate) fn about(&mut self, mean: f64) -> u64 {
        let coins = (mean * 2.0).ceil().max(1.0);
        (0..coins as u64).filter(|_| self.chance(mean / coins)).count() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_repeat_and_differ() {
        let draw = |seed, topic, number| Dice::new(seed, topic, number).below(u64::MAX);
        assert_eq!(draw(1, Topic::Person, 7), draw(1, Topic::Person, 7));
        assert_ne!(draw(1, Topic::Person, 7), draw(2, Topic::Person, 7));
        assert_ne!(draw(1, Topic::Person, 7), draw(1, Topic::Web, 7));
        assert_ne!(draw(1, Topic::Person, 7), draw(1, Topic::Person, 8));
    }

    #[test]
    fn draws_stay_in_range() {
        let mut dice = Dice::new(1, Topic::Person, 0);
        for _ in 0..1000 {
            assert!(dice.below(3) < 3);
            assert!((-2..=2).contains(&dice.between(-2, 2)));
            assert!(dice.about(1.5) <= 3);
            assert!(dice.weighted(&[1, 0, 2]) != 1);
        }
        assert!(!dice.chance(0.0) && dice.chance(1.0));
    }
}
