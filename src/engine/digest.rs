//! Texts by their digests: tables in memory that find a text without keeping it.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hash, Hasher};

use xxhash_rust::xxh3::{xxh3_64, xxh3_128, xxh3_128_with_seed};

/// 128 bits of a text: among a billion texts two are alike with odds of about 1 in 10²⁰.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Digest([u64; 2]);

impl Digest {
    /// That of a text.
    pub(crate) fn of(text: &str) -> Self {
        Self::from(xxh3_128(text.as_bytes()))
    }

    /// That of two texts.
    pub(crate) fn of_pair(one: &str, other: &str) -> Self {
        Self::from(xxh3_128_with_seed(one.as_bytes(), xxh3_64(other.as_bytes())))
    }

    fn from(hash: u128) -> Self {
        Self([hash as u64, (hash >> 64) as u64])
    }
}

impl Hash for Digest {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.0[0]);
    }
}

/// A digest is a hash already.
#[derive(Debug, Default)]
pub(crate) struct AsIs(u64);

impl Hasher for AsIs {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, _: &[u8]) {}
    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

/// Whole texts at once, for tables that keep them. Unlike the standard library's it does not guard against keys that are chosen to collide;
/// no more do digests.
#[derive(Debug, Default)]
pub(crate) struct OfText(u64);

impl Hasher for OfText {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, text: &[u8]) {
        self.0 = xxh3_64(text);
    }
    /// What ends a text says nothing.
    fn write_u8(&mut self, _: u8) {}
}

/// Numbers by digest; looked up, never iterated. Costs 24 bytes each, and as much again before it grows.
pub(crate) type Digests = HashMap<Digest, u32, BuildHasherDefault<AsIs>>;
