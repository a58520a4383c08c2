//! One row that belongs to no sync: a message.

use std::sync::atomic::AtomicU64;

use super::{Account, Line};
use crate::connector::{Deed, Delivery, Outcome, Row, What, deliver};
use crate::diag::Failure;
use crate::sync::clock::{Cancel, Clock};
use crate::sync::journal::Permit;

impl Account {
    /// Sends one row of an object. An error says why it did not arrive, or that nobody knows.
    pub async fn say(
        &self,
        object: &str,
        row: Row,
        clock: &dyn Clock,
        cancel: &Cancel,
        permit: &dyn Permit,
    ) -> Result<(), Failure> {
        let doing = || format!("sending a message to the connection `{}`", self.connection);
        let Some(found) = self.peer.connector.objects.iter().find(|known| known.name == object) else {
            return Err(Failure::project("E154", doing(), format!("there is no object `{object}`"))
                .help("`cohorte connector list` says what it has"));
        };
        let batch_id = uuid::Uuid::new_v4().simple().to_string();
        let delivery = Delivery {
            peer: &self.peer,
            what: What::Object(found),
            deed: Deed::Put,
            may_create: true,
            may_update: found.upsert.is_some(),
            audience: None,
            batch_id: &batch_id,
            personal: None,
        };
        let waited = AtomicU64::new(0);
        let mut line = Line::new(self, clock, cancel, Some(permit), &waited);
        let (outcomes, stop) = deliver(&delivery, vec![row], &mut line).await;
        match (stop, outcomes.into_iter().next()) {
            (Some(failure), _) => Err(failure),
            (None, Some(Outcome::Accepted { .. } | Outcome::Unchanged)) => Ok(()),
            (
                None,
                Some(
                    Outcome::Rejected { code, message }
                    | Outcome::Retry { code, message }
                    | Outcome::Unknown { code, message },
                ),
            ) => Err(Failure::world("W611", doing(), format!("{code}: {message}"))
                .help("check the connection with `cohorte connector check`; the next run says it again")),
            (None, Some(Outcome::NotSent) | None) => {
                Err(Failure::world("W611", doing(), "it was stopped").help("run again"))
            }
        }
    }
}
