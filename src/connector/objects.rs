//! Objects, audiences, consents and erasure as written → compiled.

use super::compile::{At, Compiler, transpose};
use super::filters;
use super::model::{Audience, Columns, Consent, Erase, FieldColumn, Find, KeyColumn, Lookup, Object, Operation};
use super::operations::limits;
use crate::diag::nearest;
use crate::spec::Text;
use crate::spec::connector::{self as spec, OnMiss};
use crate::text::{Located, OneOrMany, Section, Span};

impl Compiler {
    fn columns(
        &mut self,
        keys: Option<&Section<spec::KeyColumn>>,
        fields: Option<&Section<spec::FieldColumn>>,
        custom: Option<bool>,
    ) -> Columns {
        let keys = keys.map(|keys| {
            let key = |(name, key): (&Located<String>, &spec::KeyColumn)| KeyColumn {
                name: name.value.clone(),
                normalise: self.normalise(&key.normalise),
            };
            keys.iter().map(key).collect::<Vec<_>>()
        });
        let named: Vec<FieldColumn> = fields.map_or_else(Vec::new, |fields| {
            let field = |(name, field): (&Located<String>, &spec::FieldColumn)| FieldColumn {
                name: name.value.clone(),
                normalise: self.normalise(&field.normalise),
                required: field.required,
                max_length: field.max_length.map(|length| length as usize),
            };
            fields.iter().map(field).collect()
        });
        Columns { keys, custom: custom.unwrap_or(fields.is_none()), fields: named }
    }

    fn normalise(&mut self, written: &OneOrMany<Text>) -> Vec<filters::Normaliser> {
        let mut found = Vec::new();
        for name in written.iter() {
            match filters::normaliser(&name.value) {
                Some(normaliser) => found.push(normaliser),
                None => {
                    let known = || filters::NORMALISERS.iter().map(|(name, _)| *name);
                    let help = nearest(&name.value, known()).map_or_else(
                        || format!("the normalisers are {}", known().collect::<Vec<_>>().join(", ")),
                        |near| format!("did you mean `{near}`?"),
                    );
                    self.wrong(name.span, format!("there is no normaliser `{}`", name.value), help);
                }
            }
        }
        found
    }

    pub(super) fn object(&mut self, name: &Located<String>, written: &spec::Object) -> Option<Object> {
        let columns = self.columns(written.keys.as_ref(), written.fields.as_ref(), written.custom);
        let lookup = written.lookup.as_ref().map(|lookup| self.lookup(&name.value, lookup));
        let mut operation = |what: &str, written: Option<&spec::Operation>| -> Option<Option<Operation>> {
            let compiled = written.map(|written| self.operation(&format!("{}.{what}", name.value), written, name.span));
            transpose(compiled)
        };
        let (upsert, create, update, delete) = (
            operation("upsert", written.upsert.as_ref()),
            operation("create", written.create.as_ref()),
            operation("update", written.update.as_ref()),
            operation("delete", written.delete.as_ref()),
        );
        let object = Object {
            name: name.value.clone(),
            span: name.span,
            description: written.description.clone().unwrap_or_default(),
            columns,
            lookup: transpose(lookup)?,
            upsert: upsert?,
            create: create?,
            update: update?,
            delete: delete?,
        };
        let operations = [&object.upsert, &object.create, &object.update, &object.delete];
        if object.lookup.is_none()
            && let Some(needy) = operations.into_iter().flatten().find(|operation| operation.needs_id)
        {
            let message = format!("`{}` needs the destination's id, but the object has no `lookup`", needy.name);
            self.wrong(name.span, message, "say how an id is found: `lookup: {request: …, items: …, id: …}`");
        }
        if object.upsert.is_none() && object.create.is_none() && object.update.is_none() {
            let message = format!("no rows can be sent to the object `{}`", name.value);
            self.wrong(name.span, message, "give it `upsert`, or `create` and `update`");
        }
        Some(object)
    }

    pub(super) fn audience(
        &mut self,
        name: &Located<String>,
        written: &spec::Audience,
        file: &spec::ConnectorFile,
    ) -> Option<Audience> {
        let (of, object) = self.of(written.of.as_ref(), file);
        let keys = written.keys.as_ref().or_else(|| object.and_then(|object| object.keys.as_ref()));
        let fields = written.fields.as_ref().or_else(|| object.and_then(|object| object.fields.as_ref()));
        let columns = self.columns(keys, fields, object.and_then(|object| object.custom));
        let mut find = |written: Option<&spec::Find>| {
            transpose(written.map(|find| {
                let request = self.request(&find.request, At::Audience);
                let rules = self.rules(&find.errors);
                Some(Find { request: request?, id: self.expression(&find.id, At::Item)?, rules: rules? })
            }))
        };
        let (find, create) = (find(written.find.as_ref()), find(written.create.as_ref()));
        let add = self.operation(&format!("{}.add", name.value), &written.add, name.span);
        let remove = self.operation(&format!("{}.remove", name.value), &written.remove, name.span);
        let (add, remove) = (add?, remove?);
        self.has_ids(object, &[&add, &remove], name.span);
        Some(Audience {
            name: name.value.clone(),
            description: written.description.clone().unwrap_or_default(),
            of,
            columns,
            find: find?,
            create: create?,
            add,
            remove,
        })
    }

    /// The object that something is about.
    fn of<'a>(
        &mut self,
        written: Option<&Text>,
        file: &'a spec::ConnectorFile,
    ) -> (Option<usize>, Option<&'a spec::Object>) {
        let Some(of) = written else { return (None, None) };
        let found = file.objects.iter().enumerate().find(|(_, (name, _))| name.value == of.value);
        if let Some((place, (_, object))) = found {
            return (Some(place), Some(object));
        }
        let help = nearest(&of.value, file.objects.iter().map(|(name, _)| name.value.as_str()))
            .map_or("name one of `objects`".to_owned(), |near| format!("did you mean `{near}`?"));
        self.wrong(of.span, format!("there is no object `{}`", of.value), help);
        (None, None)
    }

    /// Operations that name rows by their id want a lookup that finds it.
    fn has_ids(&mut self, object: Option<&spec::Object>, operations: &[&Operation], span: Span) {
        if object.is_none_or(|object| object.lookup.is_none())
            && let Some(needy) = operations.iter().find(|operation| operation.needs_id)
        {
            let message = format!("`{}` needs the destination's ids, but nothing finds them", needy.name);
            self.wrong(span, message, "name the object with `of`, and give that a `lookup`");
        }
    }

    pub(super) fn consent(&mut self, written: &spec::Consent, file: &spec::ConnectorFile) -> Option<Consent> {
        let (of, object) = self.of(written.of.as_ref(), file);
        let keys = written.keys.as_ref().or_else(|| object.and_then(|object| object.keys.as_ref()));
        let columns = self.columns(keys, written.fields.as_ref(), None);
        let grant = self.operation("consent.grant", &written.grant, Span::default());
        let revoke = self.operation("consent.revoke", &written.revoke, Span::default());
        let (grant, revoke) = (grant?, revoke?);
        self.has_ids(object, &[&grant, &revoke], written.grant.request.method.span);
        Some(Consent { of, columns, grant, revoke })
    }

    pub(super) fn erase(&mut self, written: &spec::Erase, file: &spec::ConnectorFile) -> Option<Erase> {
        let (of, object) = self.of(written.of.as_ref(), file);
        let keys = written.keys.as_ref().or_else(|| object.and_then(|object| object.keys.as_ref()));
        let columns = self.columns(keys, None, None);
        let operation = self.operation("erase", &written.operation, Span::default())?;
        self.has_ids(object, &[&operation], written.operation.request.method.span);
        Some(Erase { description: written.description.clone().unwrap_or_default(), of, columns, operation })
    }

    fn lookup(&mut self, object: &str, written: &spec::Lookup) -> Option<Lookup> {
        let limits = limits(written.batch.as_ref());
        let request = self.request(&written.request, if limits.rows == 1 { At::Row } else { At::Rows });
        let row = written.row.as_ref().map(|row| self.tree(row, At::Row));
        let rules = self.rules(&written.errors);
        let items = self.expression(&written.items, At::Answer);
        let key = written.key.as_ref().map(|key| self.expression(key, At::Item));
        let id = self.expression(&written.id, At::Item);
        if limits.rows > 1 && written.key.is_none() {
            self.wrong(
                written.items.span,
                "a lookup of several rows must say whose id it found",
                "write `key:`, the value of the key of an `item`",
            );
        }
        Some(Lookup {
            name: format!("{object}.lookup"),
            quota: written.quota.as_ref().map(|quota| self.quota(quota)),
            request: request?,
            row: transpose(row)?,
            limits,
            rules: rules?,
            items: items?,
            key: transpose(key)?,
            id: id?,
            on_miss: written.on_miss.as_ref().map_or(OnMiss::Create, |on_miss| on_miss.value),
        })
    }
}
