//! What an SQLSTATE means for a batch, and how a refused row is described without its values.

use tokio_postgres::error::{DbError, SqlState};

use crate::sync::destination::Outcome;

/// Who is at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A row: the others can go through without it.
    Row,
    /// The connection or the server's life: what was asked may or may not have happened.
    Connection,
    /// The statement, the server's settings or its load: it answered, and did nothing.
    Statement,
}

/// Sorts an SQLSTATE by its class (<https://www.postgresql.org/docs/current/errcodes-appendix.html>).
pub(super) fn kind(state: &SqlState) -> Kind {
    match state.code() {
        // Serialisation failures and deadlocks, a row-level policy's view, limits of an index entry.
        "54000" => Kind::Row,
        code => match code.get(..2) {
            // Cardinality, data, integrity, check option, raised by PL/pgSQL.
            Some("21" | "22" | "23" | "44" | "P0") => Kind::Row,
            // Connection exceptions; shutdown and crash (57P0x), but not cancellation (57014).
            Some("08" | "58" | "XX") => Kind::Connection,
            Some("57") if code.starts_with("57P") => Kind::Connection,
            _ => Kind::Statement,
        },
    }
}

/// The outcome of a row that was refused alone. The server's own text is left out: it quotes values (`invalid input syntax for type
/// integer: "…"`), and its DETAIL the whole row. Names of columns and constraints are kept.
pub(super) fn rejected(error: &DbError) -> Outcome {
    let code = error.code().code();
    let what = match code {
        "21000" => "two rows of the batch are the same row of the table",
        "22001" => "a text is longer than its column allows",
        "22003" => "a number is outside the range of its column",
        "22007" | "22008" => "a date or time cannot be read or is out of range",
        "22021" => "a text has a character that the server cannot store",
        "22P02" => "a value does not have the form that its column's type wants",
        "23502" => "a column that must have a value has none",
        "23503" => "it refers to a row that is not there, or is referred to by one",
        "23505" => "another row of the table already has a value that must be unique",
        "23514" => "a check of the table refuses it",
        "23P01" => "an exclusion constraint of the table refuses it",
        "44000" => "the check option of a view refuses it",
        "54000" => "a value is too long for an index of the table",
        "P0001" => "a trigger of the table refuses it",
        _ => "the server refuses it",
    };
    let mut message = what.to_owned();
    if let Some(column) = error.column() {
        message = format!("{message} (column `{column}`)");
    }
    if let Some(constraint) = error.constraint() {
        message = format!("{message} (constraint `{constraint}`)");
    }
    Outcome::Rejected { code: code.to_owned(), message }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_sorted_by_who_is_at_fault() {
        for row in ["22P02", "22001", "23505", "23502", "P0001", "21000", "54000"] {
            assert_eq!(kind(&SqlState::from_code(row)), Kind::Row, "{row}");
        }
        for connection in ["08006", "57P01", "57P02"] {
            assert_eq!(kind(&SqlState::from_code(connection)), Kind::Connection, "{connection}");
        }
        for statement in ["40001", "40P01", "42501", "42P01", "53100", "55P03", "57014", "25006"] {
            assert_eq!(kind(&SqlState::from_code(statement)), Kind::Statement, "{statement}");
        }
    }
}
