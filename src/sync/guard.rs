//! Guards of a sync: an absurd result is held back until somebody accepts it. Withdrawals are never held back.

use crate::diag::{Failure, Fault};

/// What a sync's `guard:` says.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Limits {
    /// Most of what is delivered that may leave in one run, as a percentage from 0 to 100.
    pub max_removed: Option<f64>,
    /// Fewest rows that are desired.
    pub min_rows: Option<u64>,
}

/// What a sync is about to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Figures {
    /// Rows that are desired after the gate.
    pub desired: u64,
    /// Rows of ours that the destination holds.
    pub delivered: u64,
    /// Rows that leave: removed or cleared, without withdrawals.
    pub removed: u64,
    /// Rows that leave because consent was lost or the person erased.
    pub withdrawn: u64,
}

/// A limit that is exceeded, with the figures.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Tripped {
    /// More would leave than may.
    Removed {
        /// Rows that would leave.
        removed: u64,
        /// Of how many.
        delivered: u64,
        /// The limit, in percent.
        limit: f64,
    },
    /// Fewer are desired than must be.
    Rows {
        /// Rows that are desired.
        desired: u64,
        /// The limit.
        minimum: u64,
    },
}

/// Everything that trips, in a fixed order. Withdrawals count neither among those who leave nor among those who were there.
#[must_use]
pub fn check(limits: &Limits, figures: &Figures) -> Vec<Tripped> {
    let mut tripped = Vec::new();
    // Who is withdrawn was delivered too, unless its delivery is in doubt.
    let delivered = figures.delivered.saturating_sub(figures.withdrawn).max(figures.removed);
    if let Some(limit) = limits.max_removed
        && figures.removed as f64 * 100.0 > limit * delivered as f64
    {
        tripped.push(Tripped::Removed { removed: figures.removed, delivered, limit });
    }
    if let Some(minimum) = limits.min_rows
        && figures.desired < minimum
    {
        tripped.push(Tripped::Rows { desired: figures.desired, minimum });
    }
    tripped
}

impl std::fmt::Display for Tripped {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Removed { removed, delivered, limit } => {
                let share = *removed as f64 * 100.0 / (*delivered).max(1) as f64;
                write!(
                    formatter,
                    "{removed} of {delivered} rows would leave ({share:.1} %), more than `max_removed: {limit}%`"
                )
            }
            Self::Rows { desired, minimum } => {
                write!(formatter, "{desired} rows are desired, fewer than `min_rows: {minimum}`")
            }
        }
    }
}

/// The failure of a sync whose guard tripped, or that of a segment which it depends on; none where none did.
#[must_use]
pub fn failure(sync: &str, tripped: &[String], segment: Option<&str>) -> Option<Failure> {
    if tripped.is_empty() {
        return None;
    }
    let doing = format!("delivering the sync `{sync}`");
    let failure = Failure { fault: Fault::Guard, ..Failure::world("G601", doing, tripped.join("; ")) };
    let once = match segment {
        Some(segment) => format!("`cohorte run --accept {segment}`"),
        None => format!("run once with `--accept {sync}`"),
    };
    Some(failure.help(format!(
        "look at `cohorte plan --select syncs:{sync}`; if it is right, {once}; withdrawals went through"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { max_removed: Some(20.0), min_rows: Some(1) };

    #[test]
    fn limits_are_exceeded_not_met() {
        let at = Figures { desired: 80, delivered: 100, removed: 20, withdrawn: 0 };
        assert_eq!(check(&LIMITS, &at), []);
        let over = Figures { desired: 0, removed: 21, ..at };
        let tripped: Vec<String> = check(&LIMITS, &over).iter().map(ToString::to_string).collect();
        assert_eq!(tripped.len(), 2);
        let failure = failure("crm", &tripped, None).unwrap();
        assert_eq!((failure.code, failure.exit_code()), ("G601", 3));
        assert_eq!(
            failure.cause,
            "21 of 100 rows would leave (21.0 %), more than `max_removed: 20%`; 0 rows are desired, fewer than `min_rows: 1`"
        );
        assert!(failure.help.contains("--accept crm"));
    }

    #[test]
    fn withdrawals_never_trip_and_hide_nothing() {
        let withdrawn = Figures { desired: 10, delivered: 100, removed: 0, withdrawn: 90 };
        assert_eq!(check(&LIMITS, &withdrawn), []);
        // Of the ten that are left, five go: that is half, not five of a hundred.
        assert_eq!(check(&LIMITS, &Figures { removed: 5, ..withdrawn }).len(), 1);
    }

    #[test]
    fn no_limit_no_guard() {
        assert_eq!(check(&Limits::default(), &Figures { removed: 9, ..Figures::default() }), []);
        assert!(failure("crm", &[], None).is_none());
        let held = failure("crm", &["the guard of `vip`".to_owned()], Some("vip")).unwrap();
        assert!(held.cause.contains("`vip`") && held.help.contains("--accept vip"), "{held:?}");
    }
}
