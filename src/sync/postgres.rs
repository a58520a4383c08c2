//! The `postgres` destination: one table per sync, one transaction per batch.
//!
//! Values travel as arrays of text, one per column, which the server casts to the column's own type: so a table that already exists
//! may use types that this program has never heard of (an enum, `citext`, a domain). A row that the server refuses is found by
//! bisection under savepoints, and the others go through. All operations may be repeated: they set values or delete by key.
//! Memory: the batch's rows twice, once as text.

mod connect;
mod refusal;
mod statement;
mod table;
mod types;

use async_trait::async_trait;
use datafusion::arrow::array::Array;
use tokio::sync::Mutex;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Transaction};

use self::connect::Address;
use self::refusal::{Kind, kind};
use self::table::Table;
use super::destination::{Batch, Destination, Operation, Outcome, Sent, Target};
use crate::diag::Failure;

/// The most rows of one transaction.
pub const MAX_ROWS: usize = 5_000;

/// Transaction-wide settings. Deferred constraints must speak while a row can still be told from the others; a lock that another
/// program holds must not hold us for ever.
const SETTINGS: &str = "set local lock_timeout = '30s'; set local statement_timeout = '300s'; \
                        set local timezone = 'UTC'; set local datestyle = 'ISO, YMD'; set constraints all immediate";

/// The statement of an operation on a table that is made by it, for people to look at; one that is there already has types of its own.
pub fn statement(target: &Target, operation: Operation) -> Result<String, Failure> {
    let table = table::as_made(target).map_err(|cause| {
        Failure::project("E603", format!("showing the statement of the sync `{}`", target.sync), cause)
            .help("name the table as `table` or `schema.table`")
    })?;
    Ok(statement::of(&table, target, operation).sql)
}

/// A table in a PostgreSQL database.
pub struct Postgres {
    address: Address,
    /// One transaction at a time.
    line: Mutex<Line>,
}

/// What is known of the database so far.
#[derive(Default)]
struct Line {
    client: Option<Client>,
    table: Option<Table>,
}

impl Postgres {
    /// Reads the URL of a connection; nothing is connected yet. `connection` is its name in the project.
    pub fn new(connection: &str, url: &str) -> Result<Self, Failure> {
        Ok(Self { address: Address::parse(connection, url)?, line: Mutex::default() })
    }

    /// Is the database there, and does it let us in? Nothing is sent.
    pub async fn check(&self) -> Result<(), Failure> {
        let mut line = self.line.lock().await;
        let client = self.connected(&mut line.client).await?;
        client.simple_query("select 1").await.map(|_| ()).map_err(|error| self.address.lost(error))
    }

    /// The connection; a new one where there is none that lives.
    async fn connected<'a>(&self, client: &'a mut Option<Client>) -> Result<&'a mut Client, Failure> {
        let living = client.take().filter(|client| !client.is_closed());
        let living = match living {
            Some(living) => living,
            None => self.address.connect().await?,
        };
        Ok(client.insert(living))
    }

    async fn prepare_on(&self, line: &mut Line, target: &Target) -> Result<(), Failure> {
        let client = self.connected(&mut line.client).await?;
        line.table = Some(table::prepare(client, &self.address, target).await?);
        Ok(())
    }

    async fn send_on(&self, line: &mut Line, target: &Target, batch: &Batch) -> Result<Sent, Failure> {
        if line.table.is_none() {
            self.prepare_on(line, target).await?;
        }
        let client = self.connected(&mut line.client).await?;
        let table = line.table.as_ref().ok_or_else(|| self.address.lost("the table is not prepared"))?;
        let rows = Rows::of(table, target, batch).map_err(|cause| self.address.refused(&table.shown, cause))?;
        let sent = transact(client, &rows).await;
        sent.map(Sent::from).map_err(|error| self.address.failed(&table.shown, &error))
    }
}

#[async_trait]
impl Destination for Postgres {
    async fn prepare(&mut self, target: &Target) -> Result<(), Failure> {
        let mut line = self.line.lock().await;
        let prepared = self.prepare_on(&mut line, target).await;
        if prepared.is_err() {
            line.client = None;
        }
        prepared
    }

    async fn send(&self, target: &Target, batch: &Batch) -> Result<Sent, Failure> {
        let mut line = self.line.lock().await;
        let sent = self.send_on(&mut line, target, batch).await;
        // After an error the connection may be dead without anybody having noticed: the next batch takes a new one.
        if sent.is_err() {
            line.client = None;
        }
        sent
    }

    async fn delivered(&self, _: &Target, _: &str) -> Result<Option<bool>, Failure> {
        // A table does not remember batches; sending one again is harmless.
        Ok(None)
    }

    fn may_resend(&self, _: Operation) -> bool {
        true
    }

    fn max_rows(&self) -> usize {
        MAX_ROWS
    }
}

/// A batch as the server takes it: one statement, and each of its columns as text.
struct Rows {
    statement: String,
    columns: Vec<Vec<Option<String>>>,
    /// Outcomes that are known without asking: rows without a key.
    outcomes: Vec<Outcome>,
    /// Rows that are sent.
    live: Vec<usize>,
    /// What the server's silence about a row means.
    silent: Outcome,
}

impl Rows {
    fn of(table: &Table, target: &Target, batch: &Batch) -> Result<Self, String> {
        let statement = statement::of(table, target, batch.operation);
        let columns = statement
            .columns
            .iter()
            .map(|column| {
                let array = batch
                    .rows
                    .column_by_name(&column.name)
                    .ok_or_else(|| format!("the batch has no column `{}`", column.name))?;
                types::texts(array, column).map_err(|error| error.to_string())
            })
            .collect::<Result<Vec<_>, String>>()?;
        let keys: Vec<_> = target.key.iter().filter_map(|key| batch.rows.column_by_name(key)).collect();
        let count = batch.rows.num_rows();
        let live = (0..count).filter(|&row| keys.iter().all(|key| key.is_valid(row))).collect();
        let no_key = Outcome::Rejected {
            code: "null_key".to_owned(),
            message: format!("a column of the key ({}) is null", target.key.join(", ")),
        };
        let writes = matches!(batch.operation, Operation::Add | Operation::Update);
        let silent = if writes && target.may_create && target.may_update {
            Outcome::Rejected {
                code: "suppressed".to_owned(),
                message: "a trigger or rule of the table took the row away".to_owned(),
            }
        } else {
            Outcome::Unchanged
        };
        Ok(Self { statement: statement.sql, columns, outcomes: vec![no_key; count], live, silent })
    }
}

/// Sends all rows in one transaction. An error says that nothing was done.
async fn transact(client: &mut Client, rows: &Rows) -> Result<Vec<Outcome>, tokio_postgres::Error> {
    let mut outcomes = rows.outcomes.clone();
    if rows.live.is_empty() {
        return Ok(outcomes);
    }
    let transaction = client.transaction().await?;
    transaction.batch_execute(SETTINGS).await?;
    let mut waiting: Vec<&[usize]> = vec![&rows.live];
    while let Some(part) = waiting.pop() {
        transaction.batch_execute("savepoint part").await?;
        match execute(&transaction, rows, part).await {
            Ok(taken) => {
                transaction.batch_execute("release savepoint part").await?;
                for &row in part {
                    outcomes[row] = rows.silent.clone();
                }
                for place in taken {
                    if let Some(&row) = part.get(place) {
                        outcomes[row] = Outcome::Accepted { destination_id: None };
                    }
                }
            }
            Err(error) => {
                let Some(refused) = error.as_db_error().filter(|error| kind(error.code()) == Kind::Row) else {
                    return Err(error);
                };
                transaction.batch_execute("rollback to savepoint part; release savepoint part").await?;
                if let [row] = *part {
                    outcomes[row] = refusal::rejected(refused);
                } else {
                    // The first half is popped first, so rows go in their order.
                    let (first, second) = part.split_at(part.len() / 2);
                    waiting.extend([second, first]);
                }
            }
        }
    }
    match transaction.commit().await {
        Ok(()) => Ok(outcomes),
        // The server said no in so many words: it rolled back.
        Err(error) if error.as_db_error().is_some_and(|error| kind(error.code()) != Kind::Connection) => Err(error),
        Err(_) => {
            let lost = Outcome::Unknown {
                code: "commit_lost".to_owned(),
                message: "the connection was lost before the server confirmed the transaction".to_owned(),
            };
            for &row in &rows.live {
                if !matches!(outcomes[row], Outcome::Rejected { .. }) {
                    outcomes[row] = lost.clone();
                }
            }
            Ok(outcomes)
        }
    }
}

/// Runs the statement on some of the rows; gives the places, within `part`, of those that the server took.
async fn execute(
    transaction: &Transaction<'_>,
    rows: &Rows,
    part: &[usize],
) -> Result<Vec<usize>, tokio_postgres::Error> {
    let arrays: Vec<Vec<Option<&str>>> =
        rows.columns.iter().map(|column| part.iter().map(|&row| column[row].as_deref()).collect()).collect();
    let parameters: Vec<(&(dyn ToSql + Sync), Type)> =
        arrays.iter().map(|array| (array as &(dyn ToSql + Sync), Type::TEXT_ARRAY)).collect();
    let answer = transaction.query_typed(&rows.statement, &parameters).await?;
    answer.iter().map(|row| row.try_get::<_, i64>(0).map(|place| place as usize - 1)).collect()
}
