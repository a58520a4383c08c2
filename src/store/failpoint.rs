//! Where a run can be made to die. What must hold is that it may die anywhere: tests let it, at every boundary of an effect.

/// The boundary of an effect: nothing has an effect between two of them but one commit or one request. In builds with debug
/// assertions the process ends here, as if it had been killed, at the boundary whose number is in `COHORTE_DIE_AT`.
pub(super) fn pass() {
    #[cfg(debug_assertions)]
    {
        use std::sync::atomic::{AtomicU64, Ordering};
        static LEFT: std::sync::LazyLock<Option<AtomicU64>> = std::sync::LazyLock::new(|| {
            std::env::var("COHORTE_DIE_AT").ok().and_then(|number| number.parse().ok()).map(AtomicU64::new)
        });
        if LEFT.as_ref().is_some_and(|left| left.fetch_sub(1, Ordering::SeqCst) == 1) {
            std::process::abort();
        }
    }
}
