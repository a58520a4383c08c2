//! Show: rows, size and trend of one model, or of a table that was published.

use serde_json::{Map, Value, json};

use super::compile::event;
use super::opened::Opened;
use super::query::readable;
use super::request::Stopped;
use super::workspace::Workspace;
use crate::diag::{Failure, Result};
use crate::project::{Entity, Graph, Kind, Location, Project};
use crate::report::json_rows;
use crate::sql::{DataType, ident, text_literal};

/// A figure or a word about a model.
#[derive(Debug, Clone, PartialEq)]
pub struct Fact {
    /// What it is.
    pub name: String,
    /// Its value.
    pub value: Value,
}

/// Several rows about a model.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// What one row is: `size`, `column`, `value`.
    pub of: &'static str,
    /// A heading for people.
    pub title: String,
    /// The rows.
    pub rows: Vec<Map<String, Value>>,
}

/// What there is to see of a model.
#[derive(Debug, Clone, PartialEq)]
pub struct Shown {
    /// `kind:name`.
    pub model: String,
    /// What it is, for people.
    pub description: Option<String>,
    /// Figures.
    pub facts: Vec<Fact>,
    /// Rows.
    pub series: Vec<Series>,
}

/// What there is to see of the model of this name; `kind:name` or `table:name` where a name is ambiguous.
pub async fn show(opened: Opened, name: &str, limit: usize) -> Result<Shown, Stopped> {
    let graph = Graph::new(&opened.spec, &opened.project);
    let found = graph.find(name).cloned();
    let workspace = readable(opened).await?;
    let mut view = View { workspace: &workspace, limit, facts: Vec::new(), series: Vec::new() };
    let table = name.strip_prefix("table:").unwrap_or(name);
    let is_word = !table.is_empty() && table.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let is_table = is_word && workspace.opened.warehouse.version(table).await?.is_some();
    let (model, description) = match found {
        Ok(model) => {
            view.model(model.kind, &model.name).await?;
            (model.id(), model.description)
        }
        Err(failure) if failure.code == "E140" && is_table => {
            view.table(table).await?;
            (format!("table:{table}"), None)
        }
        Err(failure) => return Err(failure.into()),
    };
    Ok(Shown { model, description, facts: view.facts, series: view.series })
}

struct View<'a> {
    workspace: &'a Workspace,
    limit: usize,
    facts: Vec<Fact>,
    series: Vec<Series>,
}

impl View<'_> {
    fn project(&self) -> &Project {
        &self.workspace.opened.project
    }

    fn fact(&mut self, name: &str, value: impl Into<Value>) {
        self.facts.push(Fact { name: name.to_owned(), value: value.into() });
    }

    async fn rows(&self, sql: &str) -> Result<Vec<Map<String, Value>>> {
        let mut rows = Vec::new();
        for batch in self.workspace.collect("looking at the model", sql).await? {
            rows.extend(json_rows(&batch)?);
        }
        Ok(rows)
    }

    /// Each column of a statement's one row is a fact.
    async fn facts(&mut self, sql: &str) -> Result<()> {
        let row = self.rows(sql).await?.pop().unwrap_or_default();
        self.facts.extend(row.into_iter().map(|(name, value)| Fact { name, value }));
        Ok(())
    }

    async fn series(&mut self, of: &'static str, title: &str, sql: &str) -> Result<()> {
        let rows = self.rows(sql).await?;
        self.series.push(Series { of, title: title.to_owned(), rows });
        Ok(())
    }

    /// What was built before is needed here.
    fn built(&self, table: &str) -> Result<()> {
        if self.workspace.published.version(table).is_some() {
            return Ok(());
        }
        Err(Failure::project("E145", format!("reading the table `{table}`"), "it was not built yet")
            .help("`cohorte build` makes it"))
    }

    async fn model(&mut self, kind: Kind, name: &str) -> Result<()> {
        match kind {
            Kind::Source => self.source(name).await,
            Kind::Event => self.event(name).await,
            Kind::Entity => self.table(name).await,
            Kind::Trait => self.of_trait(name).await,
            Kind::Score => self.score(name).await,
            Kind::Segment => self.segment(name).await,
            Kind::Consent => self.consent(name).await,
            Kind::Purpose => self.purpose(name).await,
            Kind::Sync => self.sync(name).await,
        }
    }

    async fn source(&mut self, name: &str) -> Result<()> {
        let source = self.project().sources[name].clone();
        let location = match &source.location {
            Location::Table(table) => table.clone(),
            Location::Files { path, .. } => path.clone(),
        };
        self.fact("place", location);
        self.fact("key", source.key.join(", "));
        self.facts(&format!(
            "select count(*) as rows, min(_time) as first_time, max(_time) as last_time from {}",
            ident(name)
        ))
        .await?;
        let rows = source.columns.iter().map(|(column, found)| {
            let mut row = Map::new();
            row.insert("column".into(), json!(column));
            row.insert("type".into(), json!(found.data_type.to_string()));
            row.insert("personal".into(), json!(if source.is_personal(column) { "personal" } else { "" }));
            row
        });
        self.series.push(Series { of: "column", title: "columns".into(), rows: rows.collect() });
        Ok(())
    }

    async fn event(&mut self, name: &str) -> Result<()> {
        let Some((entity, sql)) = self.project().entities.values().next().cloned().zip(event(self.project(), name))
        else {
            return Ok(());
        };
        self.built(&entity.name)?;
        let fact = self.project().facts[name].clone();
        self.fact("sources", fact.sources.join(", "));
        // The rows carry the id under a name that no column of theirs has.
        let id = ident(&entity.resolved_id());
        let sql = format!(
            "select count(*) as rows, count(distinct {id}) as customers, count(*) filter (where {id} is null) as without_customer, min(_time) as first_time, max(_time) as last_time from (\n{sql}\n) as e"
        );
        self.facts(&sql).await
    }

    async fn table(&mut self, name: &str) -> Result<()> {
        // What is not of the published set (runs, receipts) is read as it is now.
        let version = self.workspace.published.version(name);
        let warehouse = &self.workspace.opened.warehouse;
        let (place, table) = (warehouse.place(name), warehouse.table(name, version).await?);
        let Some(table) = table else { return self.built(name) };
        self.fact("rows", json!(table.rows()?));
        self.fact("version", table.version());
        self.fact("files", table.files()?);
        self.fact("place", place);
        let schema = table.schema()?;
        let rows = schema.fields().iter().map(|field| {
            let mut row = Map::new();
            row.insert("column".into(), json!(field.name()));
            row.insert("type".into(), json!(type_name(field.data_type())));
            row
        });
        self.series.push(Series { of: "column", title: "columns".into(), rows: rows.collect() });
        Ok(())
    }

    async fn of_trait(&mut self, name: &str) -> Result<()> {
        let one = self.project().traits[name].clone();
        let entity = self.project().entities[&one.entity].clone();
        self.column(&entity, name, one.data_type, one.personal).await
    }

    async fn score(&mut self, name: &str) -> Result<()> {
        let score = self.project().scores[name].clone();
        let entity = self.project().entities[&score.entity].clone();
        let data_type = score
            .columns()
            .into_iter()
            .find(|(column, _)| column == name)
            .map_or(DataType::Text, |(_, data_type)| data_type);
        self.column(&entity, name, data_type, false).await
    }

    /// A column of the customer: figures of numbers and times, the most frequent values of the rest.
    async fn column(&mut self, entity: &Entity, name: &str, data_type: DataType, personal: bool) -> Result<()> {
        self.built(&entity.name)?;
        if self.workspace.schema(&entity.name).await?.field_with_name(name).is_err() {
            return Err(Failure::project("E145", format!("reading `{name}`"), "it was not built yet")
                .help("`cohorte build` computes it"));
        }
        self.fact("type", data_type.to_string());
        let (table, column) = (ident(&entity.name), ident(name));
        let common = format!(
            "count(*) as customers, count(*) filter (where {column} is null) as without_value, count(distinct {column}) as distinct_values"
        );
        let sql = match data_type {
            _ if personal => format!("select {common} from {table}"),
            DataType::Integer | DataType::Number | DataType::Decimal => {
                format!(
                    "select {common}, min({column}) as min, round(avg(cast({column} as double)), 4) as avg, max({column}) as max from {table}"
                )
            }
            DataType::Date | DataType::Timestamp => {
                format!("select {common}, min({column}) as min, max({column}) as max from {table}")
            }
            _ => format!("select {common} from {table}"),
        };
        self.facts(&sql).await?;
        // Values of personal data are for `query`, where they are asked for by name.
        if !personal && matches!(data_type, DataType::Text | DataType::Boolean) {
            let sql = format!(
                "select {column} as \"value\", count(*) as customers from {table} group by {column} order by count(*) desc, {column} limit {}",
                self.limit
            );
            self.series("value", "most frequent values", &sql).await?;
        }
        Ok(())
    }

    async fn segment(&mut self, name: &str) -> Result<()> {
        self.built("segment_members")?;
        let segment = self.project().segments[name].clone();
        let literal = text_literal(name);
        self.fact("of", segment.entity.clone());
        self.facts(&format!("select count(*) as members, min(entered_at) as first_entry, max(entered_at) as last_entry from segment_members where segment = {literal} and exited_at is null")).await?;
        if let Some(guard) = &segment.guard {
            let min = guard.min.as_ref().map(|min| format!("at least {}", min.value));
            let max = guard.max.as_ref().map(|max| format!("at most {}", max.value));
            let change = guard.max_change.as_ref().map(|change| format!("at most {} % change", change.value.0));
            self.fact("guard", [min, max, change].into_iter().flatten().collect::<Vec<_>>().join(", "));
        }
        if self.workspace.published.version("segment_sizes").is_some() {
            let sql = format!(
                "select as_of, members, entered, exited from segment_sizes where segment = {literal} order by as_of desc, run_id limit {}",
                self.limit
            );
            self.series("size", "sizes, the newest first", &sql).await?;
        }
        Ok(())
    }

    async fn consent(&mut self, name: &str) -> Result<()> {
        self.built("consent_ledger")?;
        let source = self.project().consents[name].source.clone();
        self.fact("source", source);
        let sql = format!(
            "select purpose, channel, status, count(*) as events, max(at) as last_at from consent_ledger where source = {} group by purpose, channel, status order by purpose, channel, status",
            text_literal(name)
        );
        self.series("events", "events in the ledger", &sql).await
    }

    async fn purpose(&mut self, name: &str) -> Result<()> {
        self.built("consents")?;
        let channels = self.project().purposes[name].channels.join(", ");
        self.fact("channels", channels);
        let sql = format!(
            "select channel, status, count(distinct contact_point) as contact_points from consents where purpose = {} group by channel, status order by channel, status",
            text_literal(name)
        );
        self.series("state", "contact points", &sql).await
    }

    async fn sync(&mut self, name: &str) -> Result<()> {
        let sync = self.project().syncs[name].clone();
        self.fact("connection", sync.connection.clone());
        self.fact("object", json!(sync.object.clone().unwrap_or_else(|| name.to_owned())));
        self.fact("mode", format!("{:?}", sync.mode).to_lowercase());
        let literal = text_literal(name);
        for (table, of, title, select) in [
            (
                "sync_state",
                "state",
                "rows at the destination",
                format!(
                    "select status, count(*) as rows, max(delivered_at) as last_delivery from sync_state where sync = {literal} group by status order by status"
                ),
            ),
            (
                "sync_runs",
                "sync_run",
                "runs, the newest first",
                format!(
                    "select started_at, outcome, added, updated, removed, cleared, withdrawn, rejected, retry, \"unknown\", withheld, error from sync_runs where sync = {literal} order by started_at desc, sync_run_id limit {}",
                    self.limit
                ),
            ),
        ] {
            if self.workspace.opened.warehouse.version(table).await?.is_some() {
                self.series(of, title, &select).await?;
            }
        }
        Ok(())
    }
}

/// A stored type as SQL calls it.
fn type_name(data_type: &datafusion::arrow::datatypes::DataType) -> String {
    use datafusion::arrow::datatypes::DataType as Arrow;
    match data_type {
        Arrow::Utf8 | Arrow::Utf8View | Arrow::LargeUtf8 => "text".into(),
        Arrow::Int64 => "bigint".into(),
        Arrow::Float64 => "double".into(),
        Arrow::Boolean => "boolean".into(),
        Arrow::Date32 => "date".into(),
        Arrow::Timestamp(..) => "timestamp".into(),
        Arrow::Decimal128(precision, scale) => format!("decimal({precision}, {scale})"),
        Arrow::List(inner) | Arrow::LargeList(inner) | Arrow::ListView(inner) => {
            format!("list of {}", type_name(inner.data_type()))
        }
        other => other.to_string().to_lowercase(),
    }
}
