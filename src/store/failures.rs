//! What goes wrong between cohorte and its tables, said with a code and with what to do next.

use std::error::Error;
use std::io;

use datafusion::arrow::error::ArrowError;
use datafusion::error::DataFusionError;
use deltalake::DeltaTableError;

use super::refusal::refusal;
use crate::diag::{Failure, Fault};
use crate::sql::ValueFault;

/// Turns an error of the query engine into a failure. A [`Failure`] that travelled inside it (a reader's, say) comes out
/// as it went in.
#[must_use]
pub fn failure_from(doing: impl Into<String>, error: &DataFusionError) -> Failure {
    let doing = doing.into();
    if let Some(failure) = buried(error).or_else(|| refusal(&*doing, error)) {
        return failure;
    }
    let root = error.find_root();
    if let DataFusionError::ResourcesExhausted(said) = root {
        return Failure::world("W410", doing, too_little(said))
            .help("raise `engine.memory` in warehouse.yaml, or lower `engine.threads`");
    }
    if let Some(error) = of_the_system(error) {
        return Failure::world("W001", doing, error)
            .help("intermediate results are in the folder for temporary files: set TMPDIR to one that has room");
    }
    let cause = match value_fault(error) {
        Some(ValueFault::Overflow) => "a number is too large for its type".to_owned(),
        Some(ValueFault::Other(said)) => said,
        _ => without_values(&first_line(&root.strip_backtrace())),
    };
    Failure::world("W409", doing, cause).help("run `cohorte compile` to see the SQL; `cohorte query` runs it alone")
}

/// Who asked for how much in vain, as the engine says it.
fn too_little(said: &str) -> String {
    let cause = "the query needs more memory than `engine.memory` allows";
    let asked = said.split("Failed to allocate additional ").nth(1).and_then(|rest| {
        let (size, rest) = rest.split_once(" for ")?;
        let (who, rest) = rest.split_once(" with ")?;
        let (held, _) = rest.split_once(" already allocated")?;
        let who = who.split(['[', '#']).next()?;
        Some(format!("`{who}` holds {held} and asked for {size} more"))
    });
    asked.map_or_else(|| cause.to_owned(), |asked| format!("{cause}: {asked}"))
}

/// What the operating system refused, where that is why a query failed.
fn of_the_system<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a io::Error> {
    let mut next = Some(error);
    while let Some(current) = next {
        if let Some(error) = current.downcast_ref::<io::Error>().filter(|error| error.raw_os_error().is_some()) {
            return Some(error);
        }
        next = current.source();
    }
    None
}

/// What was wrong with a value, where that is why a query failed.
#[must_use]
pub fn value_fault(error: &DataFusionError) -> Option<ValueFault> {
    let root = error.find_root();
    let said = || without_values(&first_line(&root.strip_backtrace()));
    match root {
        DataFusionError::ArrowError(error, _) => match error.as_ref() {
            ArrowError::DivideByZero => Some(ValueFault::DivisionByZero),
            ArrowError::ArithmeticOverflow(_) => Some(ValueFault::Overflow),
            ArrowError::CastError(_) | ArrowError::ParseError(_) => Some(ValueFault::Cast),
            ArrowError::ComputeError(_) | ArrowError::InvalidArgumentError(_) => Some(ValueFault::Other(said())),
            _ => None,
        },
        DataFusionError::Execution(_) => Some(ValueFault::Other(said())),
        _ => None,
    }
}

/// The failure of a second writer: somebody else holds the warehouse.
#[must_use]
pub fn held(doing: impl Into<String>, cause: impl Into<String>) -> Failure {
    Failure { fault: Fault::Held, ..Failure::world("W406", doing, cause.into()) }
        .help("wait until it ends (`--wait 10min`), or end it; a run that was killed gives way by itself")
}

/// A table that could not be read.
pub(crate) fn reading(table: &str, error: &DeltaTableError) -> Failure {
    let doing = format!("reading the table `{table}`");
    if let Some(failure) = buried(error).or_else(|| refusal(&*doing, error)) {
        return failure;
    }
    Failure::world("W402", doing, first_line(&error.to_string()))
        .help("check that the folder and its `_delta_log` are whole and that they may be read")
}

/// A table that could not be written.
pub(crate) fn writing(table: &str, error: &DeltaTableError) -> Failure {
    let doing = format!("writing the table `{table}`");
    if let Some(failure) = buried(error).or_else(|| refusal(&*doing, error)) {
        return failure;
    }
    let root = root_of(error);
    if let Some(DataFusionError::ResourcesExhausted(said)) =
        root.downcast_ref::<DataFusionError>().map(DataFusionError::find_root)
    {
        return failure_from(doing, &DataFusionError::ResourcesExhausted(said.clone()));
    }
    Failure::world("W403", doing, first_line(&error.to_string()))
        .help("check that the warehouse may be written and has room; the table still holds its last version")
}

/// Finds a failure that was wrapped on its way up.
fn buried(error: &(dyn Error + 'static)) -> Option<Failure> {
    let mut next = Some(error);
    while let Some(current) = next {
        if let Some(failure) = current.downcast_ref::<Failure>() {
            return Some(failure.clone());
        }
        if let Some(DataFusionError::Shared(inner)) = current.downcast_ref::<DataFusionError>() {
            return buried(inner.as_ref());
        }
        if let Some(DataFusionError::External(inner)) = current.downcast_ref::<DataFusionError>() {
            return buried(inner.as_ref());
        }
        next = current.source();
    }
    None
}

fn root_of<'a>(error: &'a (dyn Error + 'static)) -> &'a (dyn Error + 'static) {
    let mut current = error;
    while !current.is::<DataFusionError>() {
        match current.source() {
            Some(source) => current = source,
            None => break,
        }
    }
    current
}

/// Errors of libraries may show plans or rows on later lines: the first line names the problem.
fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().trim().to_owned()
}

/// What an error at run time quotes are values, and a value may be a person's.
fn without_values(text: &str) -> String {
    let mut shown = String::new();
    let mut quote = None;
    for letter in text.chars() {
        match quote {
            None => {
                shown.push(letter);
                if matches!(letter, '\'' | '"') {
                    quote = Some(letter);
                    shown.push('…');
                }
            }
            Some(open) if open == letter => {
                shown.push(letter);
                quote = None;
            }
            Some(_) => {}
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn a_failure_survives_the_way_through_the_engine() {
        let failure = Failure::project("E305", "reading", "no integer").help("declare it");
        let wrapped = DataFusionError::Context(
            "scanning".into(),
            Box::new(DataFusionError::Shared(Arc::new(DataFusionError::External(Box::new(failure.clone()))))),
        );
        assert_eq!(failure_from("building", &wrapped), failure);
    }

    #[test]
    fn a_query_that_fails_is_w409_and_memory_is_w410() {
        assert_eq!(failure_from("building", &DataFusionError::Execution("division by zero".into())).code, "W409");
        let exhausted = DataFusionError::Context("x".into(), Box::new(DataFusionError::ResourcesExhausted("y".into())));
        assert_eq!(failure_from("building", &exhausted).code, "W410");
        let said = "Additional allocation failed for HashJoinInput[1] with top memory consumers (across reservations) as:\n  \
                    a#1(can spill: false) consumed 9.0 MB.\nError: Failed to allocate additional 1024.0 KB for HashJoinInput[1] \
                    with 9.0 MB already allocated for this reservation - 0.0 B remain available for the total memory pool: fair(pool_size: 10.0 MB)";
        let failure = failure_from("building", &DataFusionError::ResourcesExhausted(said.into()));
        assert!(
            failure.cause.ends_with(": `HashJoinInput` holds 9.0 MB and asked for 1024.0 KB more"),
            "{}",
            failure.cause
        );
    }

    #[test]
    fn values_stay_out_of_messages() {
        let error = DataFusionError::Execution("Cannot cast string 'ann@x.fr' to value of Int64 type".into());
        assert_eq!(
            failure_from("building", &error).cause,
            "Execution error: Cannot cast string '…' to value of Int64 type"
        );
    }

    #[test]
    fn a_held_warehouse_exits_with_four() {
        assert_eq!(held("acquiring", "someone").exit_code(), 4);
    }
}
