//! Rows that are shown on their way: what would be asked, and what was.

use std::collections::BTreeSet;

use super::super::destination::{Operation, Sent, Target};
use super::{Http, Load};
use crate::connector::{Rehearsal, Shown, ShownAnswer, Watched, What, make_audience};
use crate::diag::Failure;
use crate::project::Remote;

/// One attempt, as it may be shown.
#[derive(Debug)]
pub struct Attempt {
    /// What was asked, and what came back.
    pub exchanges: Vec<(Shown, ShownAnswer)>,
    /// What came of it; an error where it could not begin.
    pub sent: Result<Sent, Failure>,
}

impl Http {
    /// What would be asked for these rows, one load after the other, from the sign-in on; nothing is. The values of the `personal` columns
    /// are masked. Gives the requests of each load, and what is known of its rows before anything is asked.
    pub async fn rehearse(
        &self,
        loads: Vec<(&Target, Load)>,
        personal: &BTreeSet<String>,
    ) -> Result<Vec<(Vec<Shown>, Sent)>, Failure> {
        let mut wire = Rehearsal::new(&self.account.peer, self.clock.now());
        wire.sign_in();
        self.prepare_over(&mut wire).await?;
        let comes = |(target, load): &(&Target, Load)| {
            target.ours == 0 && matches!(load.operation, Operation::Add | Operation::Update)
        };
        if let (What::Audience(audience), Remote::Audience { name, .. }) = (self.what()?, &self.kind)
            && audience.can_be_made()
            && loads.iter().any(comes)
        {
            make_audience(&self.account.peer, audience, name, &mut wire).await?;
        }
        let mut shown = Vec::with_capacity(loads.len());
        for (target, load) in loads {
            let sent = self.send_over(target, load, Some(personal), &mut wire).await?;
            shown.push((wire.take(), sent));
        }
        Ok(shown)
    }

    /// Sends rows, and keeps what was asked and answered.
    pub async fn attempt(&self, target: &Target, load: Load, personal: &BTreeSet<String>) -> Attempt {
        let values = load.rows.iter().flat_map(|row| row.key.iter().chain(&row.fields));
        let said = values.filter(|(name, _)| personal.contains(*name)).filter_map(|(_, value)| value.as_str());
        let mut wire = Watched::new(&self.account.peer, self.wire(), said.map(str::to_owned).collect());
        let sent = match self.prepare_over(&mut wire).await {
            Ok(()) => self.send_over(target, load, Some(personal), &mut wire).await,
            Err(failure) => Err(failure),
        };
        Attempt { exchanges: wire.exchanges, sent }
    }
}
