//! The value at the first or the last (time, key).

use std::cmp::Ordering;

use datafusion::arrow::array::ArrayRef;
use datafusion::common::{Result, exec_err};

use super::batch::{Batch, Column, Data, Kind};
use super::state::{Hit, State, text_column, vec_size, wide_column};
use super::wire::{Wire, broken, push_signed, push_text, push_usize};

/// The first value by (group, class), or the last by group: windows end now, so whoever is last of all is last in every window that
/// it is in, now and later.
///
/// Of rows with one time the key decides, of rows with one key (which a source should not have) the value, so that the
/// order of rows never does. A row without a time is neither first nor last while there is one that has a time.
#[derive(Debug)]
pub(super) struct Picks {
    value: usize,
    /// The column that orders rows, where it is not their time.
    order: Option<usize>,
    kind: Kind,
    since: Vec<i64>,
    /// Slots of a group.
    classes: usize,
    last: bool,
    slots: Vec<Option<Pick>>,
    owned: usize,
}

/// A row. Its key and its value, where that is a text, share one buffer, which is reused when a better row comes.
#[derive(Debug, Clone)]
struct Pick {
    time: i64,
    number: i128,
    texts: String,
    key_length: usize,
}

impl Pick {
    fn key(&self) -> &str {
        &self.texts[..self.key_length]
    }

    fn text(&self) -> &str {
        &self.texts[self.key_length..]
    }

    fn row(&self) -> Row<'_> {
        Row { time: self.time, key: self.key(), number: self.number, text: self.text() }
    }
}

/// A row that may be picked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Row<'a> {
    time: i64,
    key: &'a str,
    number: i128,
    text: &'a str,
}

impl Picks {
    pub(super) fn new(value: usize, order: Option<usize>, kind: Kind, since: Vec<i64>, last: bool) -> Self {
        let classes = if last { 1 } else { since.len() };
        Self { value, order, kind, since, classes, last, slots: Vec::new(), owned: 0 }
    }

    fn wanted(&self) -> Ordering {
        if self.last { Ordering::Greater } else { Ordering::Less }
    }

    fn take(&mut self, slot: usize, row: Row<'_>) {
        let wanted = self.wanted();
        match &mut self.slots[slot] {
            Some(pick) => {
                if row.cmp(&pick.row()) != wanted {
                    return;
                }
                self.owned -= pick.texts.capacity();
                pick.texts.clear();
                pick.texts.push_str(row.key);
                pick.texts.push_str(row.text);
                (pick.time, pick.number, pick.key_length) = (row.time, row.number, row.key.len());
                self.owned += pick.texts.capacity();
            }
            empty => {
                let mut texts = String::with_capacity(row.key.len() + row.text.len());
                texts.push_str(row.key);
                texts.push_str(row.text);
                self.owned += texts.capacity();
                *empty = Some(Pick { time: row.time, number: row.number, texts, key_length: row.key.len() });
            }
        }
    }

    fn best(&self, group: usize, window: usize) -> Option<&Pick> {
        if self.last {
            return self.slots[group].as_ref().filter(|pick| pick.time >= self.since[window]);
        }
        let start = group * self.classes;
        self.slots[start..=start + window].iter().flatten().min_by(|a, b| a.row().cmp(&b.row()))
    }
}

impl State for Picks {
    fn resize(&mut self, groups: usize) {
        self.slots.resize(groups * self.classes, None);
    }

    fn update(&mut self, batch: &Batch<'_>, hits: &[Hit]) -> Result<()> {
        let column = &batch.columns[self.value];
        let timeless = if self.last { i64::MIN } else { i64::MAX };
        let order = match self.order.map(|order| &batch.columns[order]) {
            None => None,
            Some(Column { data: Data::Long(longs), .. }) => Some(longs.as_ref()),
            Some(_) => return exec_err!("the order of cohorte_pass is no whole number"),
        };
        let by = self.order;
        let is_ordered = |row| by.is_none_or(|order| batch.columns[order].is_valid(row));
        for hit in hits {
            let row = hit.row as usize;
            let (number, text) = match &column.data {
                _ if !column.is_valid(row) => continue,
                Data::Long(values) => (i128::from(values[row]), ""),
                Data::Decimal(values) => (values[row], ""),
                Data::Text(values) => match values.at(row) {
                    Some(text) => (0, text),
                    None => continue,
                },
            };
            let time = order.map_or(batch.times[row], |order| order[row]);
            let time = if time == i64::MIN || !is_ordered(row) { timeless } else { time };
            let key = batch.keys.at(row).unwrap_or_default();
            let slot = if self.last { batch.groups[row] } else { hit.slot(batch, self.classes) };
            self.take(slot, Row { time, key, number, text });
        }
        Ok(())
    }

    fn is_empty(&self, group: usize) -> bool {
        self.slots[group * self.classes..(group + 1) * self.classes].iter().all(Option::is_none)
    }

    fn write(&self, group: usize, out: &mut Vec<u8>) {
        let picks = &self.slots[group * self.classes..(group + 1) * self.classes];
        push_usize(out, picks.iter().flatten().count());
        for (class, pick) in picks.iter().enumerate().filter_map(|(class, pick)| Some((class, pick.as_ref()?))) {
            push_usize(out, class);
            push_signed(out, pick.time.into());
            push_signed(out, pick.number);
            push_usize(out, pick.key_length);
            push_text(out, &pick.texts);
        }
    }

    fn merge(&mut self, group: usize, wire: &mut Wire<'_>) -> Result<()> {
        for _ in 0..wire.place(self.classes + 1)? {
            let slot = group * self.classes + wire.place(self.classes)?;
            let (time, number, key_length) = (wire.signed()?, wire.signed()?, wire.number()?);
            let (key, text) = wire.text()?.split_at_checked(key_length).ok_or_else(broken)?;
            if !self.last || self.since.last().is_some_and(|oldest| time >= *oldest) {
                self.take(slot, Row { time, key, number, text });
            }
        }
        Ok(())
    }

    fn column(&self, groups: usize, window: usize) -> Result<ArrayRef> {
        let best = (0..groups).map(|group| self.best(group, window));
        match self.kind {
            Kind::Text => Ok(text_column(best.map(|pick| pick.map(Pick::text)))),
            kind => wide_column(kind, best.map(|pick| pick.map(|pick| pick.number))),
        }
    }

    fn truncate(&mut self, groups: usize) {
        let dropped = self.slots.drain(groups * self.classes..);
        self.owned -= dropped.flatten().map(|pick| pick.texts.capacity()).sum::<usize>();
        self.slots.shrink_to_fit();
    }

    fn drop_first(&mut self, groups: usize) {
        let dropped = self.slots.drain(..groups * self.classes);
        self.owned -= dropped.flatten().map(|pick| pick.texts.capacity()).sum::<usize>();
    }

    fn size(&self) -> usize {
        vec_size(&self.slots) + self.owned
    }
}
