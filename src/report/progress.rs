//! The progress of long work, told by whoever does it and shown by whoever can.

/// Is told how far a run has come. Telling is cheap and may come from any thread.
pub trait Progress: Send + Sync {
    /// A new step begins: "building `orders_resolved`". `total` is the number of units of work in it, where it is known.
    fn step(&self, text: &str, total: Option<u64>);

    /// `n` more units of the step are done.
    fn advance(&self, n: u64);

    /// A line of its own, for work that goes on at the same time.
    fn beside(&self) -> Box<dyn Progress>;

    /// All is done; nothing of the progress stays on the screen.
    fn finish(&self);
}

/// For logs and tests: shows nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoProgress;

impl Progress for NoProgress {
    fn step(&self, _text: &str, _total: Option<u64>) {}

    fn advance(&self, _n: u64) {}

    fn beside(&self) -> Box<dyn Progress> {
        Box::new(Self)
    }

    fn finish(&self) {}
}
