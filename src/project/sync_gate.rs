//! The consent that a sync's rows need, and what becomes of rows that leave or lose it.

use super::consents::{channel, contact_type, unknown_purpose};
use super::syncs::{Contact, Field, Gate, Key, Resolver, SyncFrom, Withdraw};
use super::{CustomerScope, consent_scopes};
use crate::diag::{Finding, nearest};
use crate::spec;
use crate::sql::DataType;
use crate::text::{Located, TextOr};

impl Resolver<'_> {
    pub(super) fn going(
        &mut self,
        key: &str,
        written: Option<&Located<TextOr<spec::OnRemove>>>,
        fields: &[Field],
    ) -> Option<Withdraw> {
        let Some(written) = written else {
            return Some(if key == "on_remove" { Withdraw::Nothing } else { Withdraw::Delete });
        };
        match &written.value {
            TextOr::Text(word) => match word.as_str() {
                "delete" => Some(Withdraw::Delete),
                "nothing" => Some(Withdraw::Nothing),
                other => {
                    let near = nearest(other, ["delete", "nothing", "clear"].into_iter());
                    let finding = Finding::error("E130", format!("`{key}` does not know `{other}`")).at(written.span);
                    self.findings.add(Finding {
                        help: Some(near.map_or("write `delete`, `nothing` or `{clear: [field]}`".into(), |near| {
                            format!("did you mean `{near}`?")
                        })),
                        ..finding
                    });
                    None
                }
            },
            TextOr::Other(clear) => {
                for field in &clear.clear {
                    if !fields.iter().any(|known| known.name == field.value) {
                        let near = nearest(&field.value, fields.iter().map(|field| field.name.as_str()));
                        let finding = Finding::error(
                            "E202",
                            format!("the sync `{}` sends no field `{}`", self.named.name, field.value),
                        )
                        .at(field.span);
                        self.findings
                            .add(Finding { help: near.map(|near| format!("did you mean `{near}`?")), ..finding });
                        return None;
                    }
                }
                Some(Withdraw::Clear(clear.clear.iter().map(|field| field.value.clone()).collect()))
            }
        }
    }

    pub(super) fn gate(
        &mut self,
        from: &SyncFrom,
        fields: &[Field],
        keys: &[Key],
        scope: &CustomerScope,
    ) -> Option<Gate> {
        if matches!(from, SyncFrom::Consents(_)) {
            return Some(Gate::None("consents themselves are sent".into()));
        }
        let Some(written) = &self.named.spec.consent else {
            self.findings.add(
                Finding::error("E136", format!("the sync `{}` sends people, but names no consent", self.named.name))
                    .at(self.named.span)
                    .help("write `consent: {purpose: newsletter, channel: email}`, or `consent: {none: \"why\"}`"),
            );
            return None;
        };
        if let Some(why) = &written.none {
            if why.trim().is_empty() || written.purpose.is_some() {
                self.findings.add(
                    Finding::error("E136", "`none` says in words why no consent is needed, and stands alone")
                        .at(why.span),
                );
                return None;
            }
            return Some(Gate::None(why.value.clone()));
        }
        let Some(purpose) = &written.purpose else {
            self.findings.add(Finding::error("E136", "`consent` needs `purpose`, or `none`").at(written.span));
            return None;
        };
        if let Some(finding) = unknown_purpose(self.project, &purpose.value, purpose.span) {
            self.findings.add(finding);
            return None;
        }
        let channel = channel(self.project, &purpose.value, written.channel.as_ref(), written.span, self.findings)?;
        // Every contact point that is sent is checked; one that is named comes in addition.
        let mut contacts = self.sent_contacts(fields, keys, scope, &channel);
        if let Some(contact) = &written.contact {
            let sql = match fields.iter().find(|field| field.name == contact.value) {
                Some(field) => field.sql.clone(),
                None => self.bind(contact, scope, Some(DataType::Text))?.sql,
            };
            if !contacts.iter().any(|known| known.sql == sql) {
                contacts.push(Contact { sql });
            }
        }
        let lists = ["emails", "phones"].map(crate::sql::ident);
        if let Some(field) = fields.iter().find(|field| lists.iter().any(|list| field.sql.contains(list))) {
            let message =
                format!("the field `{}` sends all contact points of a customer, which no gate can check", field.name);
            self.findings.add(
                Finding::error("E137", message).at(written.span).help("send the one contact point that is written to"),
            );
            return None;
        }
        if contacts.is_empty() {
            self.findings.add(
                Finding::error(
                    "E137",
                    format!("the sync `{}` sends no contact point of the channel `{channel}`", self.named.name),
                )
                .at(written.span)
                .help("the gate checks the contact point that is sent: send it as a field, or name it with `contact:`"),
            );
            return None;
        }
        let by = self.project.purposes.get(&purpose.value)?;
        let span = written.span;
        let consented = consent_scopes::wanted(self.files, by, written.scope.as_ref(), span, scope, self.findings)?;
        self.uses_now |= consented.as_ref().is_some_and(|consented| consented.uses_now);
        let consented = consented.map(|consented| consented.sql);
        Some(Gate::Consent { purpose: purpose.value.clone(), channel, contacts, scope: consented })
    }

    /// Fields and key columns that are contact points of the channel: those that are exactly an attribute of its type.
    pub(super) fn sent_contacts(
        &self,
        fields: &[Field],
        keys: &[Key],
        scope: &CustomerScope,
        channel: &str,
    ) -> Vec<Contact> {
        let wanted = contact_type(channel);
        let attributes = &self.project.entities[&scope.entity].attributes;
        let is_contact = |sql: &str| {
            attributes.values().any(|attribute| {
                let fits = match wanted {
                    Some(wanted) => attribute.semantic == Some(wanted),
                    None => matches!(attribute.semantic, Some(spec::ColumnType::Email | spec::ColumnType::Phone)),
                };
                fits && sql == crate::sql::ident(&attribute.name)
            })
        };
        let sent = fields
            .iter()
            .map(|field| &field.sql)
            .chain(keys.iter().flat_map(|key| key.columns.iter().map(|(_, sql)| sql)));
        let mut found: Vec<Contact> = Vec::new();
        for sql in sent {
            if is_contact(sql) && !found.iter().any(|contact| contact.sql == *sql) {
                found.push(Contact { sql: sql.clone() });
            }
        }
        found
    }
}
