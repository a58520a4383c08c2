//! Distinct values and most frequent ones: what was seen, per group.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Int64Array};
use datafusion::common::Result;

use super::batch::Batch;
use super::domain::Domain;
use super::small_map::SmallMap;
use super::state::{Hit, State, vec_size};
use super::wire::{Wire, push_unsigned, push_usize};

/// The distinct values of each group, each with the narrowest class it was seen in: windows nest, so that is enough.
#[derive(Debug)]
pub(super) struct Distinct<D: Domain> {
    value: usize,
    classes: usize,
    domain: D,
    groups: Vec<SmallMap<D::Key, u32>>,
    owned: usize,
}

impl<D: Domain> Distinct<D> {
    pub(super) fn new(value: usize, classes: usize, domain: D) -> Self {
        Self { value, classes, domain, groups: Vec::new(), owned: 0 }
    }
}

impl<D: Domain> State for Distinct<D> {
    fn resize(&mut self, groups: usize) {
        self.groups.resize_with(groups, SmallMap::default);
    }

    fn update(&mut self, batch: &Batch<'_>, hits: &[Hit]) -> Result<()> {
        let Self { value, domain, groups, owned, .. } = self;
        domain.visit(&batch.columns[*value], hits, |hit, key| {
            let map = &mut groups[batch.groups[hit.row as usize]];
            *owned -= map.owned();
            map.note(key, hit.class, |class| class.min(hit.class));
            *owned += map.owned();
        })
    }

    fn is_empty(&self, group: usize) -> bool {
        self.groups[group].len() == 0
    }

    fn write(&self, group: usize, out: &mut Vec<u8>) {
        let map = &self.groups[group];
        push_usize(out, map.len());
        for (key, class) in map.iter() {
            push_unsigned(out, class.into());
            self.domain.write(key, out);
        }
    }

    fn merge(&mut self, group: usize, wire: &mut Wire<'_>) -> Result<()> {
        let map = &mut self.groups[group];
        self.owned -= map.owned();
        for _ in 0..wire.number::<usize>()? {
            let class = wire.place(self.classes)? as u32;
            map.note(self.domain.read(wire)?, class, |known| known.min(class));
        }
        self.owned += map.owned();
        Ok(())
    }

    fn column(&self, groups: usize, window: usize) -> Result<ArrayRef> {
        let count = |map: &SmallMap<D::Key, u32>| map.iter().filter(|(_, class)| *class as usize <= window).count();
        Ok(Arc::new(Int64Array::from_iter_values(self.groups[..groups].iter().map(|map| count(map) as i64))))
    }

    fn truncate(&mut self, groups: usize) {
        self.owned -= self.groups.drain(groups..).map(|map| map.owned()).sum::<usize>();
        self.groups.shrink_to_fit();
    }

    fn drop_first(&mut self, groups: usize) {
        self.owned -= self.groups.drain(..groups).map(|map| map.owned()).sum::<usize>();
        if self.groups.is_empty() {
            self.domain.clear();
        }
    }

    fn size(&self) -> usize {
        vec_size(&self.groups) + self.owned + self.domain.size()
    }
}

/// How often each group saw each value, by class.
#[derive(Debug)]
pub(super) struct Modes<D: Domain> {
    value: usize,
    classes: usize,
    domain: D,
    groups: Vec<SmallMap<(D::Key, u32), u64>>,
    owned: usize,
}

impl<D: Domain> Modes<D> {
    pub(super) fn new(value: usize, classes: usize, domain: D) -> Self {
        Self { value, classes, domain, groups: Vec::new(), owned: 0 }
    }

    /// The most frequent value of the classes up to the window; of several the least.
    fn mode(&self, map: &SmallMap<(D::Key, u32), u64>, window: usize, seen: &mut Vec<(D::Key, u64)>) -> Option<D::Key> {
        seen.clear();
        seen.extend(
            map.iter().filter(|((_, class), _)| *class as usize <= window).map(|((key, _), count)| (key, count)),
        );
        seen.sort_unstable();
        let totals = seen.chunk_by(|one, other| one.0 == other.0).map(|counts| {
            let total: u64 = counts.iter().map(|(_, count)| count).sum();
            (counts[0].0, total)
        });
        let best = totals.reduce(|best, next| {
            let better = next.1 > best.1 || (next.1 == best.1 && self.domain.compare(next.0, best.0).is_lt());
            if better { next } else { best }
        });
        best.map(|(key, _)| key)
    }
}

impl<D: Domain> State for Modes<D> {
    fn resize(&mut self, groups: usize) {
        self.groups.resize_with(groups, SmallMap::default);
    }

    fn update(&mut self, batch: &Batch<'_>, hits: &[Hit]) -> Result<()> {
        let Self { value, domain, groups, owned, .. } = self;
        domain.visit(&batch.columns[*value], hits, |hit, key| {
            let map = &mut groups[batch.groups[hit.row as usize]];
            *owned -= map.owned();
            map.note((key, hit.class), 1, |count| count + 1);
            *owned += map.owned();
        })
    }

    fn is_empty(&self, group: usize) -> bool {
        self.groups[group].len() == 0
    }

    fn write(&self, group: usize, out: &mut Vec<u8>) {
        let map = &self.groups[group];
        push_usize(out, map.len());
        for ((key, class), count) in map.iter() {
            push_unsigned(out, class.into());
            push_unsigned(out, count.into());
            self.domain.write(key, out);
        }
    }

    fn merge(&mut self, group: usize, wire: &mut Wire<'_>) -> Result<()> {
        let map = &mut self.groups[group];
        self.owned -= map.owned();
        for _ in 0..wire.number::<usize>()? {
            let class = wire.place(self.classes)? as u32;
            let count: u64 = wire.number()?;
            map.note((self.domain.read(wire)?, class), count, |known| known.saturating_add(count));
        }
        self.owned += map.owned();
        Ok(())
    }

    fn column(&self, groups: usize, window: usize) -> Result<ArrayRef> {
        let mut seen = Vec::new();
        self.domain.column(self.groups[..groups].iter().map(|map| self.mode(map, window, &mut seen)))
    }

    fn truncate(&mut self, groups: usize) {
        self.owned -= self.groups.drain(groups..).map(|map| map.owned()).sum::<usize>();
        self.groups.shrink_to_fit();
    }

    fn drop_first(&mut self, groups: usize) {
        self.owned -= self.groups.drain(..groups).map(|map| map.owned()).sum::<usize>();
        if self.groups.is_empty() {
            self.domain.clear();
        }
    }

    fn size(&self) -> usize {
        vec_size(&self.groups) + self.owned + self.domain.size()
    }
}
