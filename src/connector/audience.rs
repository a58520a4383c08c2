//! What is asked before any row is sent: whose account it is, and which audience is meant.

use serde_json::json;

use super::answer::Read;
use super::expression::Scope;
use super::model::{Audience, Find};
use super::peer::Peer;
use super::request::{Request, Whom};
use super::speak::{Heard, Manner, Wire, speak};
use crate::diag::Failure;

/// The name of the account that a connection really reaches; none where the connector cannot tell.
pub(super) async fn account_name<W: Wire>(peer: &Peer, wire: &mut W) -> Result<Option<String>, Failure> {
    let Some(account) = &peer.connector.account else { return Ok(None) };
    let settings = Scope::of("settings", &peer.settings);
    match ask(peer, wire, "account", account, Manner::ASKING, &settings).await? {
        Asked::Answer(items) => Ok(items.into_iter().next()),
        Asked::Nothing => Ok(None),
    }
}

/// Fails where a connection reaches another account than it declares: what is sent there would go to strangers.
pub async fn check_account<W: Wire>(peer: &Peer, wire: &mut W) -> Result<(), Failure> {
    let found = account_name(peer, wire).await?;
    let Some(declared) = peer.account.as_ref().filter(|declared| found.as_ref() != Some(*declared)) else {
        return Ok(());
    };
    if peer.connector.account.is_none() {
        return Ok(());
    }
    let found = found.map_or("no name".to_owned(), |found| format!("`{found}`"));
    Err(Failure::project(
        "E155",
        format!("checking the account of `{}`", peer.connector.name),
        format!("the connection declares the account `{declared}`, its credentials reach {found}"),
    )
    .help("nothing was sent: set the credentials of the declared account, or mend `account`"))
}

impl Audience {
    /// Is one made where it is not there?
    #[must_use]
    pub fn can_be_made(&self) -> bool {
        self.create.is_some()
    }
}

/// The id of an audience, found by its name; none where there is none. One that is not looked for is its own id.
pub async fn find<W: Wire>(
    peer: &Peer,
    audience: &Audience,
    name: &str,
    wire: &mut W,
) -> Result<Option<String>, Failure> {
    let Some(find) = &audience.find else { return Ok(Some(name.to_owned())) };
    let settings = Scope::of("settings", &peer.settings);
    let known = json!({"name": name, "id": null});
    let scope = settings.with("audience", &known);
    match ask(peer, wire, &format!("{}.find", audience.name), find, Manner::ASKING, &scope).await? {
        Asked::Answer(found) => Ok(found.into_iter().next()),
        Asked::Nothing => Ok(None),
    }
}

/// Makes an audience that was not found; its id.
pub async fn make<W: Wire>(peer: &Peer, audience: &Audience, name: &str, wire: &mut W) -> Result<String, Failure> {
    let missing = |cause: &str| {
        let doing = format!("looking for the audience `{name}` at `{}`", peer.connector.name);
        Failure::world("W610", doing, cause)
            .help("make it at the vendor, or mend `to: {name: …}`; removals went through")
    };
    let Some(create) = &audience.create else { return Err(missing("there is none of that name")) };
    let settings = Scope::of("settings", &peer.settings);
    let known = json!({"name": name, "id": null});
    let scope = settings.with("audience", &known);
    match ask(peer, wire, &format!("{}.create", audience.name), create, MAKING, &scope).await? {
        Asked::Answer(made) => made.into_iter().next().ok_or_else(|| missing("it was made, and its id was not told")),
        Asked::Nothing => Err(missing("it could not be made")),
    }
}

/// Of a request that makes an audience: made twice, there would be two of one name. The next sync finds what became of it.
const MAKING: Manner = Manner { harmless: false, wants_json: true };

enum Asked {
    Answer(Vec<String>),
    Nothing,
}

async fn ask<W: Wire>(
    peer: &Peer,
    wire: &mut W,
    operation: &str,
    Find { request, id, rules }: &Find,
    manner: Manner,
    scope: &Scope<'_>,
) -> Result<Asked, Failure> {
    let failed = |cause: String| {
        Failure::world(
            "W609",
            format!("asking `{}` ({operation})", peer.connector.name),
            super::outcome::scrubbed(&cause),
        )
        .help("nothing was sent; what was not sent stays due. Try again, or mend it at the vendor or in warehouse.yaml")
    };
    let mut request = Request::build(peer, operation, request, scope, &[]).map_err(|broken| failed(broken.cause))?;
    // What is made was looked for before.
    request.whom = (!manner.harmless).then_some(Whom::Missing);
    match speak(peer, wire, &request, &[rules, &peer.connector.rules], scope, manner).await? {
        Heard::Answer(response) => {
            let value =
                Read::new(&response).scoped(scope, |scope| id.value(scope)).map_err(|broken| failed(broken.cause))?;
            Ok(Asked::Answer(value.and_then(super::expression::plain).into_iter().collect()))
        }
        Heard::Ignored => Ok(Asked::Nothing),
        Heard::Rehearsed => Ok(Asked::Answer(vec![wire.stand_in(&format!("id from {operation}"))])),
        Heard::Refused { code, message, .. } | Heard::NotDone { code, message } | Heard::Lost { code, message } => {
            Err(failed(format!("{message} ({code})")))
        }
    }
}
