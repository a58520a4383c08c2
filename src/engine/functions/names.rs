//! `cohorte_names`: the names of what holds.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, BooleanArray, ListBuilder, StringViewBuilder};
use datafusion::arrow::datatypes::{DataType, Field};
use datafusion::common::exec_err;

use super::call::{Function, Takes};

/// Of pairs of a constant name and a condition, the list of the names whose condition holds, in their order; null where none does.
pub(super) fn functions() -> Vec<Function> {
    let list = DataType::List(Arc::new(Field::new_list_field(DataType::Utf8View, true)));
    vec![Function::new("cohorte_names", Takes::Pairs, list, |arguments| {
        let columns = arguments.columns()?;
        let mut pairs: Vec<(String, BooleanArray)> = Vec::with_capacity(columns.len() / 2);
        for (place, pair) in columns.chunks_exact(2).enumerate() {
            let Some(name) = arguments.text(2 * place)?.at(0) else { continue };
            if pair[1].data_type().is_null() {
                continue;
            }
            let Some(holds) = pair[1].as_boolean_opt() else {
                return exec_err!("a condition was expected, {} was given", pair[1].data_type());
            };
            pairs.push((name.to_owned(), holds.clone()));
        }
        let mut lists = ListBuilder::new(StringViewBuilder::new());
        for row in 0..arguments.rows {
            let mut any = false;
            for (name, holds) in &pairs {
                if holds.is_valid(row) && holds.value(row) {
                    lists.values().append_value(name);
                    any = true;
                }
            }
            lists.append(any);
        }
        Ok(Arc::new(lists.finish()) as ArrayRef)
    })]
}

#[cfg(test)]
mod tests {
    use crate::engine::functions::tests::row;

    #[tokio::test]
    async fn names_of_what_holds() {
        let sql = "select cohorte_names('a', t.x, 'a name that is too long to stand in a view', t.y, 'c', t.z), \
                   cohorte_names('a', t.y, 'b', t.z), cohorte_names('a', true) from (values (true, null::boolean, true)) t(x, y, z)";
        assert_eq!(row(sql).await, ["[a, c]", "[b]", "[a]"]);
        assert_eq!(row("select cohorte_names('a', t.x) from (values (false)) t(x)").await, [""]);
    }
}
