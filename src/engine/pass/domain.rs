//! The values that distinct counts and modes keep: numbers as they are, texts by number.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::fmt::Debug;
use std::hash::BuildHasherDefault;
use std::marker::PhantomData;
use std::sync::Arc;

use datafusion::arrow::array::ArrayRef;
use datafusion::common::{Result, exec_datafusion_err};

use super::batch::{Column, Kind};
use super::extremes::Number;
use super::state::{Hit, text_column, wide_column};
use super::wire::{Wire, push_signed, push_text};
use crate::engine::digest::OfText;

/// Values of a kind, each with a small key that stands for it within one accumulator.
pub(super) trait Domain: Send + Sync + Debug {
    /// Stands for a value.
    type Key: Copy + Ord + Send + Sync + Debug;

    /// Calls back with each hit that has a value.
    fn visit(&mut self, column: &Column<'_>, hits: &[Hit], take: impl FnMut(Hit, Self::Key)) -> Result<()>;
    /// The order of the values.
    fn compare(&self, one: Self::Key, other: Self::Key) -> Ordering;
    /// Writes a value.
    fn write(&self, key: Self::Key, out: &mut Vec<u8>);
    /// Reads a value.
    fn read(&mut self, wire: &mut Wire<'_>) -> Result<Self::Key>;
    /// Values as a column.
    fn column(&self, keys: impl Iterator<Item = Option<Self::Key>>) -> Result<ArrayRef>;
    /// Forgets every value.
    fn clear(&mut self);
    /// Bytes in use.
    fn size(&self) -> usize;
}

/// Numbers stand for themselves.
#[derive(Debug)]
pub(super) struct Numbers<N> {
    kind: Kind,
    number: PhantomData<N>,
}

impl<N> Numbers<N> {
    pub(super) fn new(kind: Kind) -> Self {
        Self { kind, number: PhantomData }
    }
}

impl<N: Number + Debug> Domain for Numbers<N> {
    type Key = N;

    fn visit(&mut self, column: &Column<'_>, hits: &[Hit], mut take: impl FnMut(Hit, N)) -> Result<()> {
        let numbers = N::slice(column);
        for hit in hits {
            let row = hit.row as usize;
            if column.is_valid(row) {
                take(*hit, numbers[row]);
            }
        }
        Ok(())
    }

    fn compare(&self, one: N, other: N) -> Ordering {
        one.cmp(&other)
    }

    fn write(&self, key: N, out: &mut Vec<u8>) {
        push_signed(out, key.into());
    }

    fn read(&mut self, wire: &mut Wire<'_>) -> Result<N> {
        wire.signed()
    }

    fn column(&self, keys: impl Iterator<Item = Option<N>>) -> Result<ArrayRef> {
        wide_column(self.kind, keys.map(|key| key.map(Into::into)))
    }

    fn clear(&mut self) {}

    fn size(&self) -> usize {
        0
    }
}

/// Texts are numbered as they are first seen, so that each is held once however many groups saw it: exact, where
/// hashes would only be probably so.
#[derive(Debug, Default)]
pub(super) struct Texts {
    numbers: HashMap<Arc<str>, u32, BuildHasherDefault<OfText>>,
    by_number: Vec<Arc<str>>,
    owned: usize,
}

impl Texts {
    fn number(&mut self, text: &str) -> Result<u32> {
        if let Some(number) = self.numbers.get(text) {
            return Ok(*number);
        }
        let number = u32::try_from(self.by_number.len());
        let number = number.map_err(|_| exec_datafusion_err!("more than 4 billion distinct texts in one partition"))?;
        let text: Arc<str> = text.into();
        self.owned += text.len() + 16;
        self.by_number.push(Arc::clone(&text));
        self.numbers.insert(text, number);
        Ok(number)
    }
}

impl Domain for Texts {
    type Key = u32;

    fn visit(&mut self, column: &Column<'_>, hits: &[Hit], mut take: impl FnMut(Hit, u32)) -> Result<()> {
        let texts = column.texts();
        for hit in hits {
            if let Some(text) = texts.at(hit.row as usize) {
                take(*hit, self.number(text)?);
            }
        }
        Ok(())
    }

    fn compare(&self, one: u32, other: u32) -> Ordering {
        self.by_number[one as usize].cmp(&self.by_number[other as usize])
    }

    fn write(&self, key: u32, out: &mut Vec<u8>) {
        push_text(out, &self.by_number[key as usize]);
    }

    fn read(&mut self, wire: &mut Wire<'_>) -> Result<u32> {
        let text = wire.text()?;
        self.number(text)
    }

    fn column(&self, keys: impl Iterator<Item = Option<u32>>) -> Result<ArrayRef> {
        Ok(text_column(keys.map(|key| key.map(|key| self.by_number[key as usize].as_ref()))))
    }

    fn clear(&mut self) {
        *self = Self::default();
    }

    fn size(&self) -> usize {
        self.owned + self.by_number.capacity() * 16 + self.numbers.capacity() * 25
    }
}
