//! Least and greatest texts, by their bytes.

use datafusion::arrow::array::ArrayRef;
use datafusion::common::Result;

use super::batch::Batch;
use super::state::{Hit, State, text_column, vec_size};
use super::wire::{Wire, push_text, push_usize};

/// The least, or the greatest text by (group, class).
#[derive(Debug)]
pub(super) struct TextExtremes {
    value: usize,
    classes: usize,
    greatest: bool,
    texts: Vec<Option<Box<str>>>,
    owned: usize,
}

impl TextExtremes {
    pub(super) fn new(value: usize, classes: usize, greatest: bool) -> Self {
        Self { value, classes, greatest, texts: Vec::new(), owned: 0 }
    }

    fn take(&mut self, slot: usize, text: &str) {
        let best = &mut self.texts[slot];
        let better = match best.as_deref() {
            None => true,
            Some(best) if self.greatest => text > best,
            Some(best) => text < best,
        };
        if better {
            self.owned += text.len();
            self.owned -= best.as_ref().map_or(0, |best| best.len());
            *best = Some(text.into());
        }
    }
}

impl State for TextExtremes {
    fn resize(&mut self, groups: usize) {
        self.texts.resize(groups * self.classes, None);
    }

    fn update(&mut self, batch: &Batch<'_>, hits: &[Hit]) -> Result<()> {
        let texts = batch.columns[self.value].texts();
        for hit in hits {
            if let Some(text) = texts.at(hit.row as usize) {
                self.take(hit.slot(batch, self.classes), text);
            }
        }
        Ok(())
    }

    fn is_empty(&self, group: usize) -> bool {
        self.texts[group * self.classes..(group + 1) * self.classes].iter().all(Option::is_none)
    }

    fn write(&self, group: usize, out: &mut Vec<u8>) {
        let texts = &self.texts[group * self.classes..(group + 1) * self.classes];
        push_usize(out, texts.iter().flatten().count());
        for (class, text) in texts.iter().enumerate().filter_map(|(class, text)| Some((class, text.as_ref()?))) {
            push_usize(out, class);
            push_text(out, text);
        }
    }

    fn merge(&mut self, group: usize, wire: &mut Wire<'_>) -> Result<()> {
        for _ in 0..wire.place(self.classes + 1)? {
            let slot = group * self.classes + wire.place(self.classes)?;
            self.take(slot, wire.text()?);
        }
        Ok(())
    }

    fn column(&self, groups: usize, window: usize) -> Result<ArrayRef> {
        let best = |group: usize| {
            let start = group * self.classes;
            let texts = self.texts[start..=start + window].iter().filter_map(Option::as_deref);
            if self.greatest { texts.max() } else { texts.min() }
        };
        Ok(text_column((0..groups).map(best)))
    }

    fn truncate(&mut self, groups: usize) {
        let dropped = self.texts.drain(groups * self.classes..);
        self.owned -= dropped.flatten().map(|text| text.len()).sum::<usize>();
        self.texts.shrink_to_fit();
    }

    fn drop_first(&mut self, groups: usize) {
        let dropped = self.texts.drain(..groups * self.classes);
        self.owned -= dropped.flatten().map(|text| text.len()).sum::<usize>();
    }

    fn size(&self) -> usize {
        vec_size(&self.texts) + self.owned
    }
}
