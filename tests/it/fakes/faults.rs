//! What goes wrong between a client and a server, by a seed: the same seed, the same faults at the same requests.

/// What happens to one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing.
    None,
    /// 429, with `Retry-After` or without; not done.
    Throttled { retry_after: bool },
    /// 500; done, or not.
    Failed { done: bool },
    /// 503, as the first of several.
    Storm,
    /// The connection ends without an answer; done, or not.
    Reset { done: bool },
    /// Half of the answer comes; done.
    Truncated,
    /// A page of HTML with status 200, from something on the way; done, or not.
    Html { done: bool },
    /// The answer comes slowly; done.
    Slow,
    /// What says who the client is has expired.
    Expired,
    /// The vendor's own way to say that it did not work this time: a cancelled job, an error inside of an answer.
    Upset,
}

/// Draws faults.
#[derive(Debug)]
pub(crate) struct Faults {
    state: u64,
    /// So many requests of a hundred meet one.
    percent: u64,
    storm: u32,
    slow: bool,
}

/// SplitMix64 (public domain, Sebastiano Vigna).
pub(crate) fn draw(state: &mut u64, below: u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (mixed ^ (mixed >> 31)) % below
}

impl Faults {
    /// All goes well.
    pub(crate) fn none() -> Self {
        Self { state: 0, percent: 0, storm: 0, slow: false }
    }

    /// Every answer comes slowly.
    pub(crate) fn slow() -> Self {
        Self { slow: true, ..Self::none() }
    }

    /// So many requests of a hundred meet a fault.
    pub(crate) fn seeded(seed: u64, percent: u64) -> Self {
        Self { state: seed, percent, storm: 0, slow: false }
    }

    fn draw(&mut self, below: u64) -> u64 {
        draw(&mut self.state, below)
    }

    /// The fault of the next request.
    pub(crate) fn next(&mut self) -> Fault {
        if self.slow {
            return Fault::Slow;
        }
        if self.storm > 0 {
            self.storm -= 1;
            return Fault::Storm;
        }
        if self.percent == 0 || self.draw(100) >= self.percent {
            return Fault::None;
        }
        let (kind, half) = (self.draw(9), self.draw(2) == 0);
        match kind {
            0 => Fault::Throttled { retry_after: half },
            1 => Fault::Failed { done: half },
            2 => {
                self.storm = 1 + self.draw(3) as u32;
                Fault::Storm
            }
            3 => Fault::Reset { done: half },
            4 => Fault::Truncated,
            5 => Fault::Html { done: half },
            6 => Fault::Slow,
            7 => Fault::Expired,
            _ => Fault::Upset,
        }
    }
}
