//! Query: one statement that only reads, over sources, sources with their customers, and what was published.

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::SchemaError;
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use futures::StreamExt;

use super::opened::Opened;
use super::request::Stopped;
use super::workspace::Workspace;
use super::{identity, publish};
use crate::diag::{Failure, Fault, Finding, Result, nearest};
use crate::sql::{SqlText, bind_query};
use crate::store::{failure_from, value_fault};
use crate::text::{Files, Located, Span};

/// The rows of a query, as they come: memory does not grow with their number.
pub struct Rows {
    stream: SendableRecordBatchStream,
    query: Asked,
    // The intermediate results and the session that the rows are read from.
    _workspace: Workspace,
}

impl Rows {
    /// The columns.
    #[must_use]
    pub fn schema(&self) -> SchemaRef {
        self.stream.schema()
    }

    /// The next rows; `None` at the end.
    pub async fn next(&mut self) -> Result<Option<RecordBatch>, Stopped> {
        let next = self.stream.next().await;
        next.transpose().map_err(|error| self.query.failed(&error))
    }
}

/// The text of a query, as a file of its own.
#[derive(Clone)]
struct Asked {
    files: Files,
    text: Located<String>,
}

impl Asked {
    fn new(sql: &str) -> Self {
        let mut files = Files::default();
        let file = files.add("(the query)", sql);
        let span = Span { file, start: 0, end: u32::try_from(sql.len()).unwrap_or(u32::MAX) };
        Self { files, text: Located::new(sql.to_owned(), span) }
    }

    fn finding(&self, finding: Finding) -> Stopped {
        Stopped::Findings(Box::new(self.files.clone()), vec![finding])
    }

    /// Why it failed while it ran: a value that it cannot do with is its own fault, everything else the world's.
    fn failed(&self, error: &DataFusionError) -> Stopped {
        let failure = failure_from("running the query", error);
        match value_fault(error) {
            Some(fault) if failure.fault == Fault::World => {
                self.finding(fault.finding(SqlText::new(&self.files, &self.text)))
            }
            _ => failure.into(),
        }
    }
}

/// Begins a query; `limit` stops it early.
pub async fn query(opened: Opened, sql: &str, limit: Option<usize>) -> Result<Rows, Stopped> {
    let query = Asked::new(sql);
    let bound = bind_query(SqlText::new(&query.files, &query.text)).map_err(|finding| query.finding(finding))?;
    let workspace = readable(opened).await?;
    let frame = match workspace.opened.session.sql(&bound.sql).await {
        Ok(frame) => frame,
        Err(error) => return Err(unplanned(&workspace, &bound.tables, &error).into()),
    };
    let limited = match limit {
        Some(limit) => frame.limit(0, Some(limit)),
        None => Ok(frame),
    };
    let stream = async { limited?.execute_stream().await }.await.map_err(|error| query.failed(&error))?;
    Ok(Rows { stream, query, _workspace: workspace })
}

/// A workspace in which sources, published tables and `<source>_resolved` have their names.
pub(super) async fn readable(opened: Opened) -> Result<Workspace> {
    let workspace = Workspace::new(opened).await?;
    publish::read_published(&workspace).await?;
    let entities = || workspace.opened.project.entities.values();
    if entities().all(|entity| workspace.published.version(&crate::store::tables::records(&entity.name).name).is_some())
    {
        identity::resolve_sources(&workspace).await?;
    }
    // Runs are listed by what they published, and are not part of it; receipts come after it, acts at any time.
    for name in ["runs", "sync_runs", "sync_receipts", "sync_state", "alerts", "audit"] {
        if let Some(provider) = workspace.opened.warehouse.provider(name, None).await? {
            workspace.register(name, provider)?;
        }
    }
    Ok(workspace)
}

/// Why a statement could not be planned; a table or a column that is not there is named, with the nearest that is.
fn unplanned(workspace: &Workspace, tables: &[String], error: &DataFusionError) -> Failure {
    let session = &workspace.opened.session;
    let schema = session.catalog("datafusion").and_then(|catalog| catalog.schema("public"));
    let mut known = schema.map(|schema| schema.table_names()).unwrap_or_default();
    known.sort();
    let is_unknown = |table: &&String| !table.contains('.') && !known.contains(*table);
    let doing = "running the query";
    let missing =
        tables.iter().find(is_unknown).filter(|table| error.to_string().contains(&format!("{table}' not found")));
    if let Some(table) = missing {
        let failure = Failure::project("E143", doing, format!("there is no table `{table}`"));
        let help = match nearest(table, known.iter().map(String::as_str)) {
            Some(near) => format!("did you mean `{near}`?"),
            None if workspace.published.run.is_none() => "nothing was built yet: `cohorte build`".to_owned(),
            None => format!("there are {}", known.join(", ")),
        };
        return failure.help(help);
    }
    if let DataFusionError::SchemaError(error, _) = error.find_root()
        && let SchemaError::FieldNotFound { field, valid_fields } = error.as_ref()
    {
        let near = nearest(&field.name, valid_fields.iter().map(|valid| valid.name.as_str()));
        let help = near.map_or_else(
            || "columns are listed by `cohorte show TABLE`".to_owned(),
            |near| format!("did you mean `{near}`?"),
        );
        return Failure::project("E143", doing, format!("there is no column `{}`", field.flat_name())).help(help);
    }
    // Nothing was read yet: what the planner quotes is the query's own.
    let cause = match error.find_root() {
        DataFusionError::Plan(said) => in_words(said),
        _ => failure_from(doing, error).cause,
    };
    Failure::project("E143", doing, cause).help("columns are listed by `cohorte show TABLE`")
}

/// What the planner says, without what it says of itself.
fn in_words(said: &str) -> String {
    let said = said.replace("Error during planning: ", "").replace("Internal error: ", "");
    let said = said.lines().next().unwrap_or_default().trim_end_matches(['.', ',', ' ']);
    let signatures = said.split_once(" failed to match any signature, errors: ");
    let Some((function, errors)) = signatures.and_then(|(who, errors)| Some((who.split('\'').nth(1)?, errors))) else {
        return said.to_owned();
    };
    let wants = |error: &str| Some(error.split_once(" requires ")?.1.split_once(", but received ")?.0.to_owned());
    let mut wanted: Vec<String> = errors.split("Function '").filter_map(wants).collect();
    wanted.dedup();
    let given = errors.split_once(", but received ").map_or("", |(_, given)| given);
    let given = given.split([' ', ',', '.']).next().unwrap_or_default();
    format!("`{function}` takes {}, and not {given}", wanted.join(" or "))
}

#[cfg(test)]
mod tests {
    use super::in_words;

    #[test]
    fn what_the_planner_says_is_put_into_words() {
        let of_types = "Internal error: Function 'sum' failed to match any signature, errors: Error during planning: Function 'sum' requires Decimal, but received String (DataType: Utf8View).,Error during planning: Function 'sum' requires Int64, but received String (DataType: Utf8View)..";
        assert_eq!(in_words(of_types), "`sum` takes Decimal or Int64, and not String");
        assert_eq!(in_words("Error during planning: a is not b."), "a is not b");
    }
}
