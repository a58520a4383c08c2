//! The model's type of a column that is stored in whatever type.

use datafusion::arrow::datatypes::DataType as ArrowType;

use crate::sql::DataType;

/// What models see of a stored column.
#[must_use]
pub fn model_type(arrow: &ArrowType) -> DataType {
    match arrow {
        ArrowType::Utf8 | ArrowType::Utf8View | ArrowType::LargeUtf8 => DataType::Text,
        ArrowType::Boolean => DataType::Boolean,
        ArrowType::Float16 | ArrowType::Float32 | ArrowType::Float64 => DataType::Number,
        ArrowType::Decimal32(..) | ArrowType::Decimal64(..) | ArrowType::Decimal128(..) | ArrowType::Decimal256(..) => {
            DataType::Decimal
        }
        ArrowType::Date32 | ArrowType::Date64 => DataType::Date,
        ArrowType::Timestamp(..) => DataType::Timestamp,
        ArrowType::Duration(_) | ArrowType::Interval(_) => DataType::Interval,
        ArrowType::Dictionary(_, values) => model_type(values),
        ArrowType::List(item) | ArrowType::LargeList(item) | ArrowType::ListView(item) => {
            if model_type(item.data_type()) == DataType::Text { DataType::TextList } else { DataType::Json }
        }
        other if other.is_integer() => DataType::Integer,
        other if other.is_nested() => DataType::Json,
        _ => DataType::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::datatypes::{Field, TimeUnit};

    use super::*;

    #[test]
    fn stored_types_become_few() {
        let list = |item| ArrowType::List(Arc::new(Field::new("item", item, true)));
        for (stored, seen) in [
            (ArrowType::Utf8View, DataType::Text),
            (ArrowType::UInt16, DataType::Integer),
            (ArrowType::Timestamp(TimeUnit::Nanosecond, None), DataType::Timestamp),
            (ArrowType::Dictionary(Box::new(ArrowType::Int8), Box::new(ArrowType::Utf8)), DataType::Text),
            (list(ArrowType::Utf8), DataType::TextList),
            (list(ArrowType::Int64), DataType::Json),
            (ArrowType::Binary, DataType::Unknown),
        ] {
            assert_eq!(model_type(&stored), seen, "{stored}");
        }
    }
}
