//! Progress on a terminal: a bar where the amount of work is known, a spinner where it is not.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::report::Progress;

/// One line at the foot of the terminal, replaced by each step.
#[derive(Debug)]
pub(super) struct Bars {
    all: MultiProgress,
    current: Mutex<Option<ProgressBar>>,
}

impl Bars {
    pub(super) fn new(all: MultiProgress) -> Self {
        Self { all, current: Mutex::new(None) }
    }

    fn replace(&self, next: Option<ProgressBar>) {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(previous) = std::mem::replace(&mut *current, next) {
            previous.finish_and_clear();
            self.all.remove(&previous);
        }
    }
}

impl Progress for Bars {
    fn step(&self, text: &str, total: Option<u64>) {
        let (bar, template) = match total {
            Some(total) => (ProgressBar::new(total), "{spinner} {msg} {wide_bar} {human_pos}/{human_len}"),
            None => (ProgressBar::no_length(), "{spinner} {msg}"),
        };
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner());
        let bar = self.all.add(bar.with_style(style).with_message(text.to_owned()));
        bar.enable_steady_tick(Duration::from_millis(120));
        self.replace(Some(bar));
    }

    fn advance(&self, n: u64) {
        if let Some(bar) = self.current.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
            bar.inc(n);
        }
    }

    fn beside(&self) -> Box<dyn Progress> {
        Box::new(Self::new(self.all.clone()))
    }

    fn finish(&self) {
        self.replace(None);
    }
}

impl Drop for Bars {
    fn drop(&mut self) {
        self.replace(None);
    }
}
