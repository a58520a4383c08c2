//! Distinct values and most frequent ones: what was seen, per group.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Int64Array};
use datafusion::common::Result;

use super::batch::Batch;
use super::domain::Domain;
use super::small_map::SmallMap;
use super::state::{Hit, Move, State, vec_size};
use super::wire::{Wire, broken, push_signed, push_unsigned};

/// The distinct values of each group, each with the last time that it was seen: windows end now, so that is enough, and stays
/// enough when time passes.
#[derive(Debug)]
pub(super) struct Distinct<D: Domain> {
    value: usize,
    since: Vec<i64>,
    domain: D,
    groups: Vec<SmallMap<D::Key, i64>>,
    owned: usize,
}

impl<D: Domain> Distinct<D> {
    pub(super) fn new(value: usize, since: Vec<i64>, domain: D) -> Self {
        Self { value, since, domain, groups: Vec::new(), owned: 0 }
    }

    /// Is every time as good as any other?
    fn is_timeless(&self) -> bool {
        self.since == [i64::MIN]
    }
}

impl<D: Domain> State for Distinct<D> {
    fn resize(&mut self, groups: usize) {
        self.groups.resize_with(groups, SmallMap::default);
    }

    fn update(&mut self, batch: &Batch<'_>, hits: &[Hit]) -> Result<()> {
        let is_timeless = self.is_timeless();
        let Self { value, domain, groups, owned, .. } = self;
        domain.visit(&batch.columns[*value], hits, |hit, key| {
            let row = hit.row as usize;
            let (map, time) = (&mut groups[batch.groups[row]], if is_timeless { i64::MIN } else { batch.times[row] });
            *owned -= map.owned();
            map.note(key, time, |last| last.max(time));
            *owned += map.owned();
        })
    }

    fn is_empty(&self, group: usize) -> bool {
        self.groups[group].len() == 0
    }

    fn write(&self, group: usize, out: &mut Vec<u8>) {
        let is_timeless = self.is_timeless();
        for (key, time) in self.groups[group].iter() {
            if !is_timeless {
                push_signed(out, time.into());
            }
            self.domain.write(key, out);
        }
    }

    fn merge(&mut self, group: usize, wire: &mut Wire<'_>) -> Result<()> {
        let (is_timeless, oldest) = (self.is_timeless(), self.since.last().copied().unwrap_or(i64::MIN));
        let map = &mut self.groups[group];
        self.owned -= map.owned();
        while !wire.is_empty() {
            let time = if is_timeless { i64::MIN } else { wire.signed()? };
            let key = self.domain.read(wire)?;
            if time >= oldest {
                map.note(key, time, |last| last.max(time));
            }
        }
        self.owned += map.owned();
        Ok(())
    }

    fn column(&self, groups: usize, window: usize) -> Result<ArrayRef> {
        let since = self.since[window];
        let count = |map: &SmallMap<D::Key, i64>| map.iter().filter(|(_, last)| *last >= since).count();
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

    fn shift(&mut self, batch: &Batch<'_>, moves: &[Move]) -> Result<()> {
        let Self { value, domain, groups, owned, .. } = self;
        let hits: Vec<Hit> = moves.iter().map(|moved| Hit { row: moved.row, class: moved.from }).collect();
        let mut targets = moves.iter();
        let mut fits = true;
        domain.visit(&batch.columns[*value], &hits, |hit, key| {
            // Rows without a value are not visited.
            let to = targets.find(|moved| moved.row == hit.row).and_then(|moved| moved.to);
            let map = &mut groups[batch.groups[hit.row as usize]];
            *owned -= map.owned();
            match map.get((key, hit.class)) {
                None | Some(0) => fits = false,
                Some(1) => map.forget((key, hit.class)),
                Some(count) => map.note((key, hit.class), 0, |_| count - 1),
            }
            if let Some(to) = to {
                map.note((key, to), 1, |count| count + 1);
            }
            *owned += map.owned();
        })?;
        if fits { Ok(()) } else { Err(broken()) }
    }

    fn is_empty(&self, group: usize) -> bool {
        self.groups[group].len() == 0
    }

    fn write(&self, group: usize, out: &mut Vec<u8>) {
        for ((key, class), count) in self.groups[group].iter() {
            push_unsigned(out, class.into());
            push_unsigned(out, count.into());
            self.domain.write(key, out);
        }
    }

    fn merge(&mut self, group: usize, wire: &mut Wire<'_>) -> Result<()> {
        let map = &mut self.groups[group];
        self.owned -= map.owned();
        while !wire.is_empty() {
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
