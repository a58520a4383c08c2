//! `<source>_resolved`: a source's rows with their customers.

use std::collections::BTreeSet;

use crate::project::{Entity, IdentitySource, Project, Source};
use crate::spec::Role;
use crate::sql::{Select, ident, indent, text_literal};

use super::identity::tuple_key;
use super::moment::happened;
use super::sources::on_column;

/// How rows find their customers.
#[derive(Debug, Clone, Copy)]
pub enum Finding<'a> {
    /// By joins with the tables of identity: SQL that any engine runs.
    Joins,
    /// By functions that a build has made of them (`engine::functions::find`); these (entity, source) have rows of shared devices.
    Functions(&'a BTreeSet<(String, String)>),
}

/// What the relation of a source reads beside the tables of identity: names and statements. They are computed once, so
/// that whoever reads the relation reads the source once.
#[must_use]
pub fn devices(project: &Project, source: &Source, finding: Finding<'_>) -> Vec<(String, String)> {
    let mut rows = Rows::of(source, finding);
    for entity in project.entities.values() {
        if let Some(identity) = entity.source(&source.name) {
            rows.identified(entity, identity);
        }
    }
    let inner = rows.inner.to_string();
    rows.devices.iter().map(|device| (device.table.clone(), device.owners(&inner))).collect()
}

/// The relation: every column of the source, the id of each entity, and `_time`, inherited where the source has none.
/// `None` where the rows find no entity at all.
#[must_use]
pub fn relation(project: &Project, source: &Source, finding: Finding<'_>) -> Option<String> {
    let mut rows = Rows::of(source, finding);
    let mut found = false;
    for entity in project.entities.values() {
        if let Some(identity) = entity.source(&source.name) {
            rows.identified(entity, identity);
            found = true;
        } else if let Some(parent) =
            source.parents.iter().find(|parent| finds_customer(project, &parent.source, &entity.name))
        {
            rows.inherited(parent, entity);
            found = true;
        }
    }
    if source.time.is_none()
        && let Some(parent) = source.parents.iter().find(|parent| timed(project, &parent.source, 0))
    {
        rows.timed(parent);
    }
    found.then(|| rows.sql())
}

/// Do the rows of a source find customers of an entity, by themselves or by what they belong to?
pub(super) fn finds_customer(project: &Project, source: &str, entity: &str) -> bool {
    relation_exists(project, source, entity, 0)
}

fn relation_exists(project: &Project, source: &str, entity: &str, depth: usize) -> bool {
    project.entities.get(entity).is_some_and(|entity| entity.source(source).is_some())
        || (depth < 8
            && project.sources.get(source).is_some_and(|source| {
                source.parents.iter().any(|parent| relation_exists(project, &parent.source, entity, depth + 1))
            }))
}

fn timed(project: &Project, source: &str, depth: usize) -> bool {
    project.sources.get(source).is_some_and(|source| {
        source.time.is_some()
            || (depth < 8 && source.parents.iter().any(|parent| timed(project, &parent.source, depth + 1)))
    })
}

struct Rows<'a> {
    finding: Finding<'a>,
    inner: Select,
    /// (what rows are looked up in, how).
    joins: Vec<(String, String)>,
    ids: Vec<(String, String)>,
    /// The places of customers, where they are known by number.
    places: Vec<(String, String)>,
    time: String,
    n_helpers: usize,
    /// Does the source itself say when its rows happened?
    is_timed: bool,
    /// What finds out whose the rows of shared devices are.
    devices: Vec<Device>,
}

/// Finds the customers of rows that hang on values which several customers have.
struct Device {
    /// The name under which the result is read.
    table: String,
    /// The column with the rows' node.
    key: String,
    /// `<entity>_contested`, its rows of this source, `owner` and all.
    contested: String,
}

impl<'a> Rows<'a> {
    fn of(source: &Source, finding: Finding<'a>) -> Self {
        let inner = Select::from(ident(&source.name)).column("*", "");
        Self {
            finding,
            inner,
            joins: Vec::new(),
            ids: Vec::new(),
            places: Vec::new(),
            time: "s._time".into(),
            n_helpers: 0,
            is_timed: source.time.is_some(),
            devices: Vec::new(),
        }
    }

    /// A helper column of the inner relation, computed once per row.
    fn helper(&mut self, sql: &str) -> String {
        let name = format!("_find_{}", self.n_helpers);
        self.n_helpers += 1;
        self.inner = std::mem::take(&mut self.inner).column(sql, &name);
        format!("s.{name}")
    }

    /// Looks every row up in a relation.
    fn join(&mut self, relation: &str, on: &str) {
        self.joins.push((relation.to_owned(), on.to_owned()));
    }

    fn identified(&mut self, entity: &Entity, identity: &IdentitySource) {
        match self.finding {
            Finding::Joins => self.joined(entity, identity),
            Finding::Functions(devices) => {
                let is_shared = devices.contains(&(entity.name.clone(), identity.source.clone()));
                self.looked_up(entity, identity, is_shared);
            }
        }
    }

    fn looked_up(&mut self, entity: &Entity, identity: &IdentitySource, is_shared: bool) {
        let (source, name) = (text_literal(&identity.source), &entity.name);
        let customer = match identity.role {
            Role::Record => self.helper(&format!("cohorte_record_{name}({source}, _key)")),
            Role::Link => {
                let values: Vec<&str> = identity.ids.iter().map(|(_, sql)| sql.as_str()).collect();
                let found = self.helper(&format!("cohorte_tuple_{name}({source}, {})", values.join(", ")));
                let settled = if is_shared {
                    let key = self.helper(&tuple_key(identity));
                    self.shared(entity, identity, &key)
                } else {
                    None
                };
                settled.map_or(found.clone(), |settled| format!("coalesce(cohorte_place_{name}({settled}), {found})"))
            }
            Role::Attach => {
                let held = identity
                    .ids
                    .iter()
                    .map(|(kind, sql)| format!("cohorte_holder_{name}({}, {sql})", text_literal(kind)));
                self.helper(&format!("coalesce({})", held.collect::<Vec<_>>().join(", ")))
            }
        };
        self.placed(entity, customer);
    }

    /// The place of each row's customer, and what it stands for.
    fn placed(&mut self, entity: &Entity, place: String) {
        self.ids.push((entity.resolved_id(), format!("cohorte_id_{}({place})", entity.name)));
        self.places.push((entity.resolved_place(), place));
    }

    fn joined(&mut self, entity: &Entity, identity: &IdentitySource) {
        let id = ident(&entity.id());
        match identity.role {
            Role::Record | Role::Link => {
                let key = match identity.role {
                    Role::Record => "s._key".to_owned(),
                    _ => self.helper(&tuple_key(identity)),
                };
                let table = ident(&format!("{}_records", entity.name));
                let alias = format!("r_{}", entity.name);
                self.join(
                    &format!(
                        "(select record_key, {id} from {table} where source = {}) as {alias}",
                        text_literal(&identity.source)
                    ),
                    &format!("{alias}.record_key = {key}"),
                );
                let found = format!("{alias}.{id}");
                let customer = match self.shared(entity, identity, &key) {
                    Some(settled) => format!("coalesce({settled}, {found})"),
                    None => found,
                };
                self.ids.push((entity.resolved_id(), customer));
            }
            Role::Attach => {
                let table = ident(&format!("{}_identifiers", entity.name));
                let mut found = Vec::new();
                for (index, (name, sql)) in identity.ids.iter().enumerate() {
                    let value = self.helper(sql);
                    let alias = format!("i_{}_{index}", entity.name);
                    self.join(
                        &format!(
                            "(select \"value\", {id} from {table} where \"type\" = {} and is_home) as {alias}",
                            text_literal(name)
                        ),
                        &format!("{alias}.\"value\" = {value}"),
                    );
                    found.push(format!("{alias}.{id}"));
                }
                self.ids.push((entity.resolved_id(), format!("coalesce({})", found.join(", "))));
            }
        }
    }

    /// On a shared device, a row belongs to the next account that is seen there, else to the previous one. That customer,
    /// where a source can have such rows: link tuples of several types, at times.
    fn shared(&mut self, entity: &Entity, identity: &IdentitySource, key: &str) -> Option<String> {
        let several = identity.ids.iter().any(|(name, _)| *name != identity.ids[0].0);
        if identity.role != Role::Link || !self.is_timed || !several {
            return None;
        }
        let table = format!("_devices_{}_{}", identity.source, entity.name);
        let contested = format!(
            "select record_key, \"type\", \"value\", settles, owner from {} where source = {}",
            ident(&format!("{}_contested", entity.name)),
            text_literal(&identity.source)
        );
        let alias = format!("d_{}", entity.name);
        self.join(&format!("{} as {alias}", ident(&table)), &format!("{alias}._row = s._key"));
        self.devices.push(Device { table, key: key.trim_start_matches("s.").to_owned(), contested });
        Some(format!("{alias}._owner"))
    }

    fn inherited(&mut self, parent: &crate::project::Parent, entity: &Entity) {
        let alias = self.parent(parent, &format!("p_{}", entity.name));
        match self.finding {
            Finding::Joins => {
                self.ids.push((entity.resolved_id(), format!("{alias}.{}", ident(&entity.resolved_id()))));
            }
            Finding::Functions(_) => self.placed(entity, format!("{alias}.{}", ident(&entity.resolved_place()))),
        }
    }

    fn timed(&mut self, parent: &crate::project::Parent) {
        let alias = self.parent(parent, "p_time");
        self.time = format!("{alias}._time");
    }

    fn parent(&mut self, parent: &crate::project::Parent, alias: &str) -> String {
        let on: Vec<String> = (parent.on.iter().enumerate())
            .map(|(index, (theirs, _))| {
                format!("{alias}.{} = s.{}", ident(theirs), ident(&on_column(&parent.source, index)))
            })
            .collect();
        self.join(&format!("{} as {alias}", ident(&format!("{}_resolved", parent.source))), &on.join(" and "));
        alias.to_owned()
    }

    fn sql(self) -> String {
        let rows = self.inner.to_string();
        // What rows are looked up in stands on the left, the side that a join keeps in memory where sizes are not known (of
        // text files, say): the rows stream past.
        let mut from = format!("(\n{}\n) as s", indent(&rows));
        for (place, (relation, on)) in self.joins.iter().enumerate() {
            let inner = if place == 0 { from } else { format!("(\n{}\n)", indent(&from)) };
            from = format!("{relation}\nright join {inner} on {on}");
        }
        let mut select = Select::from(from);
        // `_time` of the source gives way to the one that is found; helpers stay inside.
        let mut hidden = vec!["_time".to_owned()];
        hidden.extend((0..self.n_helpers).map(|helper| format!("_find_{helper}")));
        select = select.column(format!("s.* except ({})", hidden.join(", ")), "").column(self.time, "_time");
        for (name, sql) in self.ids.into_iter().chain(self.places) {
            select = select.column(sql, &name);
        }
        select.to_string()
    }
}

impl Device {
    /// `_row`, the key of each row that hangs on contested values alone, and `_owner`, its customer. All other rows stream
    /// past the few contested nodes, which stand on the left, where joins keep a side in memory.
    fn owners(&self, rows: &str) -> String {
        let Self { key, contested, .. } = self;
        // What happened after the run's instant settles nothing.
        let owner = format!("case when c.settles and {} then c.owner end", happened("r"));
        let seen = format!(
            "select r._key, r._time, c.\"type\" as _type, c.\"value\" as _value, c.settles as _settles, {owner} as _owner\n\
             from ({contested}) as c\njoin (\n{}\n) as r on c.record_key = r.{key}",
            indent(rows)
        );
        let nearest = |order: &str| {
            format!(
                "last_value(_owner) ignore nulls over (partition by _type, _value order by {order} \
                 rows between unbounded preceding and current row)"
            )
        };
        let windows = format!(
            "select _key, _settles, coalesce(\n    {},\n    {}\n  ) as _owner\nfrom (\n{}\n) as seen",
            nearest("_time desc nulls first, _key desc"),
            nearest("_time asc nulls last, _key asc"),
            indent(&seen)
        );
        format!(
            "select _key as _row, _owner\nfrom (\n{}\n) as device\nwhere not _settles and _owner is not null",
            indent(&windows)
        )
    }
}
