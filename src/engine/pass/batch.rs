//! A batch of rows as typed slices: read once per batch, used by every stream.

use std::borrow::Cow;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Float64Array};
use datafusion::arrow::buffer::{BooleanBuffer, NullBuffer};
use datafusion::arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float64Type, Int64Type, TimeUnit, TimestampMicrosecondType,
};
use datafusion::common::{Result, exec_err};

use crate::engine::functions::call::Text;

/// The arguments before the times: specification, shape.
pub(super) const BEFORE_TIMES: usize = 2;
/// The arguments before the filters: those, times, keys.
pub(super) const BEFORE_FILTERS: usize = 4;

/// The rows of one call.
pub(super) struct Batch<'a> {
    /// The group of each row.
    pub(super) groups: &'a [usize],
    /// Microseconds since the epoch; no time is `i64::MIN`.
    pub(super) times: Cow<'a, [i64]>,
    /// What breaks ties of time.
    pub(super) keys: Text<'a>,
    /// The value columns.
    pub(super) columns: Vec<Column<'a>>,
    filters: Vec<BooleanBuffer>,
    all: Option<BooleanBuffer>,
}

impl<'a> Batch<'a> {
    /// Reads times, keys, filters and values. `only` says which rows count at all.
    pub(super) fn new(
        columns: &'a [ArrayRef],
        n_filters: usize,
        kinds: &[Kind],
        groups: &'a [usize],
        only: Option<&BooleanArray>,
    ) -> Result<Self> {
        let [times, keys, rest @ ..] = columns else { return exec_err!("cohorte_pass was given no times and keys") };
        if rest.len() != n_filters + kinds.len() {
            return exec_err!("cohorte_pass was given {} filters and values", rest.len());
        }
        let (filters, values) = rest.split_at(n_filters);
        let Some(times) = times.as_primitive_opt::<TimestampMicrosecondType>() else {
            return exec_err!("the time of cohorte_pass is a {}", times.data_type());
        };
        let times = match times.nulls().filter(|nulls| nulls.null_count() > 0) {
            None => Cow::Borrowed(times.values().as_ref()),
            Some(_) => Cow::Owned(times.iter().map(|time| time.unwrap_or(i64::MIN)).collect()),
        };
        let all = only.map(truths);
        let filters = filters.iter().map(|filter| match (filter.as_boolean_opt(), &all) {
            (None, _) => exec_err!("a filter of cohorte_pass is a {}", filter.data_type()),
            (Some(filter), None) => Ok(truths(filter)),
            (Some(filter), Some(all)) => Ok(&truths(filter) & all),
        });
        Ok(Self {
            groups,
            times,
            keys: Text::of(keys.as_ref())?,
            filters: filters.collect::<Result<_>>()?,
            columns: values
                .iter()
                .zip(kinds)
                .map(|(values, kind)| Column::new(values, *kind))
                .collect::<Result<_>>()?,
            all,
        })
    }

    /// The rows that a filter takes; none stands for every row.
    pub(super) fn rows(&self, filter: Option<usize>) -> Option<&BooleanBuffer> {
        filter.map_or(self.all.as_ref(), |filter| self.filters.get(filter))
    }
}

/// The rows that are true: null is false.
fn truths(filter: &BooleanArray) -> BooleanBuffer {
    match filter.nulls().filter(|nulls| nulls.null_count() > 0) {
        None => filter.values().clone(),
        Some(nulls) => filter.values() & nulls.inner(),
    }
}

/// How values are held: every type is one of three.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// An `i64` whose order is the order of the values.
    Long(Long),
    /// `Decimal128(38, 9)`.
    Decimal,
    /// Any string.
    Text,
}

/// What an `i64` stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Long {
    Integer,
    Timestamp,
    Date,
    Boolean,
    Number,
}

impl Kind {
    /// How values of a type are held.
    pub(super) fn of(data_type: &DataType) -> Result<Self> {
        Ok(match data_type {
            DataType::Int64 => Self::Long(Long::Integer),
            DataType::Timestamp(TimeUnit::Microsecond, _) => Self::Long(Long::Timestamp),
            DataType::Date32 => Self::Long(Long::Date),
            DataType::Boolean => Self::Long(Long::Boolean),
            DataType::Float64 => Self::Long(Long::Number),
            DataType::Decimal128(38, 9) => Self::Decimal,
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Self::Text,
            other => return exec_err!("cohorte_pass cannot reduce values of type {other}"),
        })
    }
}

/// A value column.
pub(super) struct Column<'a> {
    nulls: Option<&'a NullBuffer>,
    /// The values.
    pub(super) data: Data<'a>,
}

/// The values of a column, as its kind holds them.
pub(super) enum Data<'a> {
    Long(Cow<'a, [i64]>),
    Decimal(&'a [i128]),
    Text(Text<'a>),
}

impl<'a> Column<'a> {
    fn new(values: &'a ArrayRef, kind: Kind) -> Result<Self> {
        if Kind::of(values.data_type())? != kind {
            return exec_err!("a value of cohorte_pass became a {}", values.data_type());
        }
        let data = match kind {
            Kind::Decimal => Data::Decimal(values.as_primitive::<Decimal128Type>().values()),
            Kind::Text => Data::Text(Text::of(values.as_ref())?),
            Kind::Long(Long::Integer) => Data::Long(Cow::Borrowed(values.as_primitive::<Int64Type>().values())),
            Kind::Long(Long::Timestamp) => {
                Data::Long(Cow::Borrowed(values.as_primitive::<TimestampMicrosecondType>().values()))
            }
            Kind::Long(Long::Date) => {
                let days = values.as_primitive::<Date32Type>().values().iter();
                Data::Long(days.map(|day| i64::from(*day)).collect())
            }
            Kind::Long(Long::Boolean) => Data::Long(values.as_boolean().values().iter().map(i64::from).collect()),
            Kind::Long(Long::Number) => Data::Long(ordered(values.as_primitive::<Float64Type>())),
        };
        Ok(Self { nulls: values.nulls().filter(|nulls| nulls.null_count() > 0), data })
    }

    /// Whether a row has a value.
    pub(super) fn is_valid(&self, row: usize) -> bool {
        self.nulls.is_none_or(|nulls| nulls.is_valid(row))
    }

    /// The numbers of a column of longs.
    pub(super) fn longs(&self) -> &[i64] {
        if let Data::Long(values) = &self.data { values } else { &[] }
    }

    /// The numbers of a column of decimals.
    pub(super) fn decimals(&self) -> &[i128] {
        if let Data::Decimal(values) = self.data { values } else { &[] }
    }

    /// The texts of a column of texts.
    pub(super) fn texts(&self) -> Text<'a> {
        if let Data::Text(texts) = self.data { texts } else { Text::Constant(None) }
    }
}

fn ordered(numbers: &Float64Array) -> Cow<'static, [i64]> {
    numbers.values().iter().map(|number| number_to_long(*number)).collect()
}

/// A long whose order is the total order of doubles; one zero, one NaN (the greatest), as SQL groups them.
pub(super) fn number_to_long(number: f64) -> i64 {
    let one = if number.is_nan() { f64::from_bits(0x7ff8_0000_0000_0000) } else { number + 0.0 };
    let bits = one.to_bits() as i64;
    bits ^ (((bits >> 63) as u64) >> 1) as i64
}

/// The double that a long stands for.
pub(super) fn long_to_number(long: i64) -> f64 {
    f64::from_bits((long ^ (((long >> 63) as u64) >> 1) as i64) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn longs_keep_the_order_of_numbers(one: f64, other: f64) {
            let order = (one + 0.0).total_cmp(&(other + 0.0));
            proptest::prop_assert_eq!(number_to_long(one).cmp(&number_to_long(other)), order);
            proptest::prop_assert_eq!(long_to_number(number_to_long(one)).to_bits(), (one + 0.0).to_bits());
        }
    }

    #[test]
    fn zeros_and_nans_are_one() {
        assert_eq!(number_to_long(-0.0), number_to_long(0.0));
        assert_eq!(number_to_long(-f64::NAN), number_to_long(f64::NAN));
        assert!(long_to_number(number_to_long(f64::NAN)).is_nan());
    }
}
