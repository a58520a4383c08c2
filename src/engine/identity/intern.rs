//! Distinct (tag, text) pairs numbered as they come, in one buffer. A string map would cost several times the texts.

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::NONE;

/// Texts with a tag (a source, a type of identifier, a scope). Costs the texts, and 10 bytes each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Texts {
    text: String,
    /// Where each text ends.
    ends: Vec<usize>,
    tags: Vec<u16>,
}

impl Texts {
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Bytes in use.
    pub(super) fn size(&self) -> usize {
        self.text.capacity() + self.ends.capacity() * size_of::<usize>() + self.tags.capacity() * size_of::<u16>()
    }

    pub(super) fn text(&self, index: u32) -> &str {
        let index = index as usize;
        let from = if index == 0 { 0 } else { self.ends[index - 1] };
        &self.text[from..self.ends[index]]
    }

    fn push(&mut self, tag: u16, text: &str) {
        self.text.push_str(text);
        self.ends.push(self.text.len());
        self.tags.push(tag);
    }

    /// The same texts in another order.
    pub(super) fn arranged(&self, order: &[u32]) -> Self {
        let mut arranged = Self {
            text: String::with_capacity(self.text.len()),
            ends: Vec::with_capacity(order.len()),
            tags: Vec::with_capacity(order.len()),
        };
        for &index in order {
            arranged.push(self.tag(index), self.text(index));
        }
        arranged
    }

    pub(super) fn tag(&self, index: u32) -> u16 {
        self.tags[index as usize]
    }

    /// All indexes, ordered by rank of the tag, then by the bytes of the text. Costs 24 bytes each while it sorts.
    pub(super) fn sorted(&self, rank: &[u16]) -> Vec<u32> {
        // What most texts are told apart by stands beside the index, so that the texts themselves are hardly looked at.
        let beginning = |index: u32| {
            let mut bytes = [0; 16];
            let (text, tag) = (self.text(index).as_bytes(), rank[usize::from(self.tag(index))]);
            let length = text.len().min(bytes.len() - 2);
            bytes[..2].copy_from_slice(&tag.to_be_bytes());
            bytes[2..2 + length].copy_from_slice(&text[..length]);
            let (first, last) = bytes.split_at(8);
            [first, last].map(|half| half.iter().fold(0_u64, |all, &byte| all << 8 | u64::from(byte)))
        };
        let mut order: Vec<([u64; 2], u32)> = (0..self.len() as u32).map(|index| (beginning(index), index)).collect();
        order.sort_unstable_by(|&(begins, left), &(other, right)| {
            begins.cmp(&other).then_with(|| self.text(left).cmp(self.text(right)))
        });
        order.into_iter().map(|(_, index)| index).collect()
    }
}

/// [`Texts`] that finds what it holds already; its table costs another 11 to 22 bytes per text.
#[derive(Debug, Default)]
pub(super) struct Interner {
    texts: Texts,
    /// Open addressing, a power of two of slots, at most three quarters full. An index of [`NONE`] is empty; beside it is half of the
    /// hash, so that other texts are hardly looked at, and none when the table grows.
    slots: Vec<(u32, u32)>,
}

impl Interner {
    pub(super) fn texts(&self) -> &Texts {
        &self.texts
    }

    /// Bytes in use.
    pub(super) fn size(&self) -> usize {
        self.texts.size() + self.slots.capacity() * size_of::<(u32, u32)>()
    }

    pub(super) fn into_texts(self) -> Texts {
        self.texts
    }

    /// The number of the pair, and whether it is new.
    pub(super) fn intern(&mut self, tag: u16, text: &str) -> (u32, bool) {
        if self.slots.len() * 3 <= self.texts.len() * 4 {
            self.grow();
        }
        let hash = hash(tag, text);
        let is_it = |index: u32| self.texts.tag(index) == tag && self.texts.text(index) == text;
        let slot = slot(&self.slots, hash, is_it);
        if self.slots[slot].0 != NONE {
            return (self.slots[slot].0, false);
        }
        let index = self.texts.len() as u32;
        self.slots[slot] = (index, hash);
        self.texts.push(tag, text);
        (index, true)
    }

    fn grow(&mut self) {
        let size = (self.slots.len() * 2).max(64);
        let mut slots = vec![(NONE, 0); size];
        for &(index, hash) in self.slots.iter().filter(|(index, _)| *index != NONE) {
            let slot = slot(&slots, hash, |_| false);
            slots[slot] = (index, hash);
        }
        self.slots = slots;
    }
}

/// Where what has this hash is, or belongs.
fn slot(slots: &[(u32, u32)], hash: u32, is_it: impl Fn(u32) -> bool) -> usize {
    let mask = slots.len() - 1;
    let mut slot = hash as usize & mask;
    loop {
        let (index, other) = slots[slot];
        if index == NONE || (other == hash && is_it(index)) {
            return slot;
        }
        slot = (slot + 1) & mask;
    }
}

fn hash(tag: u16, text: &str) -> u32 {
    xxh3_64_with_seed(text.as_bytes(), tag.into()) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_told_apart_and_found_again() {
        let mut interner = Interner::default();
        let texts: Vec<String> = (0..1_000).map(|number| format!("{number}")).collect();
        for (number, text) in texts.iter().enumerate() {
            assert_eq!(interner.intern(0, text), (2 * number as u32, true));
            assert_eq!(interner.intern(1, text), (2 * number as u32 + 1, true));
        }
        assert_eq!(interner.intern(1, "999"), (1_999, false));
        assert_eq!(interner.intern(0, ""), (2_000, true));
        assert_eq!(
            (interner.texts().text(2_000), interner.texts().text(1_999), interner.texts().tag(1_999)),
            ("", "999", 1)
        );
    }

    #[test]
    fn order_is_rank_then_bytes() {
        let mut interner = Interner::default();
        let long = "a text that is longer than what stands beside it";
        for (tag, text) in [(0, "b"), (1, "z"), (0, "a"), (0, "ab"), (1, ""), (0, long), (0, &long[..20]), (0, "a\0")] {
            interner.intern(tag, text);
        }
        assert_eq!(interner.into_texts().sorted(&[1, 0]), vec![4, 1, 2, 7, 6, 5, 3, 0]);
    }
}
