//! A map that is nearly always tiny: a list first, a tree when it grows.

use std::collections::BTreeMap;

/// Beyond so many entries a list is searched for too long.
const LIST: usize = 16;

/// Keys and what is noted of each.
#[derive(Debug, Clone)]
pub(super) enum SmallMap<K, V> {
    /// A few, in the order they came.
    List(Vec<(K, V)>),
    /// Many. Boxed, so that the others, nearly all, take 24 bytes and not 32.
    #[expect(clippy::box_collection, reason = "the size of the enum counts, not that of a tree")]
    Tree(Box<BTreeMap<K, V>>),
}

impl<K, V> Default for SmallMap<K, V> {
    fn default() -> Self {
        Self::List(Vec::new())
    }
}

impl<K: Copy + Ord, V: Copy> SmallMap<K, V> {
    /// Notes something of a key: `first` where it is new, else what `again` makes of what was noted.
    pub(super) fn note(&mut self, key: K, first: V, again: impl FnOnce(V) -> V) {
        match self {
            Self::List(list) => {
                if let Some((_, value)) = list.iter_mut().find(|(known, _)| *known == key) {
                    *value = again(*value);
                } else if list.len() < LIST {
                    list.push((key, first));
                } else {
                    let mut tree: BTreeMap<K, V> = list.drain(..).collect();
                    tree.insert(key, first);
                    *self = Self::Tree(Box::new(tree));
                }
            }
            Self::Tree(tree) => {
                tree.entry(key).and_modify(|value| *value = again(*value)).or_insert(first);
            }
        }
    }

    /// Forgets a key.
    pub(super) fn forget(&mut self, key: K) {
        match self {
            Self::List(list) => list.retain(|(known, _)| *known != key),
            Self::Tree(tree) => drop(tree.remove(&key)),
        }
    }

    /// What was noted of a key.
    pub(super) fn get(&self, key: K) -> Option<V> {
        match self {
            Self::List(list) => list.iter().find(|(known, _)| *known == key).map(|(_, value)| *value),
            Self::Tree(tree) => tree.get(&key).copied(),
        }
    }

    /// How many keys there are.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::List(list) => list.len(),
            Self::Tree(tree) => tree.len(),
        }
    }

    /// Every key, in no order that may be relied on.
    pub(super) fn iter(&self) -> impl Iterator<Item = (K, V)> + '_ {
        let (list, tree) = match self {
            Self::List(list) => (Some(list.iter().copied()), None),
            Self::Tree(tree) => (None, Some(tree.iter().map(|(key, value)| (*key, *value)))),
        };
        list.into_iter().flatten().chain(tree.into_iter().flatten())
    }

    /// Bytes that it owns; of a tree, about.
    pub(super) fn owned(&self) -> usize {
        match self {
            Self::List(list) => list.capacity() * size_of::<(K, V)>(),
            Self::Tree(tree) => tree.len() * (size_of::<K>() + size_of::<V>()) * 3 / 2,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_counts_beyond_a_list() {
        let mut map = SmallMap::default();
        for n in 0..100_u64 {
            map.note(n % 40, 1_u64, |count| count + 1);
        }
        let mut entries: Vec<_> = map.iter().collect();
        entries.sort_unstable();
        assert_eq!(map.len(), 40);
        assert_eq!((entries[0], entries[19], entries[39]), ((0, 3), (19, 3), (39, 2)));
        assert!(map.owned() > 0);
        map.forget(7);
        assert_eq!((map.get(7), map.get(8), map.len()), (None, Some(3), 39));
    }
}
