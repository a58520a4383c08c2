//! From a Rust function over one value to a SQL function over columns.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, LargeStringArray, PrimitiveArray, StringArray, StringViewArray, StringViewBuilder,
};
use datafusion::arrow::datatypes::{ArrowPrimitiveType, DataType, TimeUnit};
use datafusion::common::{Result, ScalarValue, exec_err, plan_err};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};

use super::Reason;

/// The zone of every instant.
pub(super) const UTC: &str = "UTC";

/// What an argument may be; anything else is cast to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Any kind of string; numbers and the like are read as their text.
    Text,
    /// A string, or a day.
    TextOrDate,
    /// A day.
    Date,
    /// A timestamp in microseconds: with its zone (an instant) or without (a reading of a clock).
    Timestamp,
    /// An instant.
    Instant,
    /// A whole number.
    Integer,
    /// A number.
    Number,
    /// Anything, as it is.
    Any,
}

impl Kind {
    fn coerce(self, given: &DataType) -> DataType {
        let naive = DataType::Timestamp(TimeUnit::Microsecond, None);
        let instant = DataType::Timestamp(TimeUnit::Microsecond, Some(UTC.into()));
        match self {
            Self::Text => text_type(given),
            Self::TextOrDate => match given {
                DataType::Date32 | DataType::Date64 | DataType::Timestamp(..) => DataType::Date32,
                _ => text_type(given),
            },
            Self::Date => DataType::Date32,
            Self::Timestamp => match given {
                DataType::Timestamp(_, Some(_)) => instant,
                _ => naive,
            },
            Self::Instant => instant,
            Self::Integer => DataType::Int64,
            Self::Number => DataType::Float64,
            Self::Any => given.clone(),
        }
    }
}

fn text_type(given: &DataType) -> DataType {
    match given {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => given.clone(),
        _ => DataType::Utf8View,
    }
}

/// How many arguments, of what kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Takes {
    /// Exactly these.
    Exactly(&'static [Kind]),
    /// These, of which the last may be left out.
    LastOptional(&'static [Kind]),
    /// One or more of any type.
    Anything,
    /// Pairs of a text and anything.
    Pairs,
}

/// A SQL function: its name, what it takes, what it gives.
#[derive(Debug, Clone)]
pub(super) struct Function {
    name: &'static str,
    takes: Takes,
    gives: DataType,
    body: fn(&Arguments<'_>) -> Result<ArrayRef>,
    signature: Signature,
}

impl Function {
    /// A function whose body computes all rows.
    pub(super) fn new(
        name: &'static str,
        takes: Takes,
        gives: DataType,
        body: fn(&Arguments<'_>) -> Result<ArrayRef>,
    ) -> Self {
        let signature = match takes {
            Takes::Anything => Signature::variadic_any(Volatility::Immutable),
            Takes::Exactly(_) | Takes::LastOptional(_) | Takes::Pairs => Signature::user_defined(Volatility::Immutable),
        };
        Self { name, takes, gives, body, signature }
    }
}

/// Names are unique, so they stand for the functions.
impl PartialEq for Function {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Function {}

impl Hash for Function {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl ScalarUDFImpl for Function {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(self.gives.clone())
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        let (kinds, least) = match self.takes {
            Takes::Anything => return Ok(given.to_vec()),
            Takes::Pairs if given.is_empty() || given.len() % 2 == 1 => {
                return plan_err!("{} takes pairs of a name and a value", self.name);
            }
            Takes::Pairs => {
                let kinds = [Kind::Text, Kind::Any].into_iter().cycle();
                return Ok(given.iter().zip(kinds).map(|(given, kind)| kind.coerce(given)).collect());
            }
            Takes::Exactly(kinds) => (kinds, kinds.len()),
            Takes::LastOptional(kinds) => (kinds, kinds.len().saturating_sub(1)),
        };
        if given.len() < least || given.len() > kinds.len() {
            return plan_err!("{} takes {} arguments, {} were given", self.name, kinds.len(), given.len());
        }
        Ok(given.iter().zip(kinds).map(|(given, kind)| kind.coerce(given)).collect())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let constant = args.args.iter().all(|value| matches!(value, ColumnarValue::Scalar(_)));
        let rows = if constant { 1 } else { args.number_rows };
        let result = (self.body)(&Arguments { values: &args.args, rows })?;
        if constant {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&result, 0)?));
        }
        Ok(ColumnarValue::Array(result))
    }
}

/// The arguments of one call.
pub(super) struct Arguments<'a> {
    values: &'a [ColumnarValue],
    /// How many rows to answer for.
    pub(super) rows: usize,
}

impl<'a> Arguments<'a> {
    /// The text argument at a place; one that was left out is null.
    pub(super) fn text(&self, place: usize) -> Result<Text<'a>> {
        let Some(value) = self.values.get(place) else { return Ok(Text::Constant(None)) };
        match value {
            ColumnarValue::Scalar(scalar) => match scalar.try_as_str() {
                Some(text) => Ok(Text::Constant(text)),
                None if scalar.is_null() => Ok(Text::Constant(None)),
                None => exec_err!("text was expected, {} was given", scalar.data_type()),
            },
            ColumnarValue::Array(array) => Text::of(array.as_ref()),
        }
    }

    /// The type of the argument at a place.
    pub(super) fn data_type(&self, place: usize) -> DataType {
        self.values.get(place).map_or(DataType::Null, ColumnarValue::data_type)
    }

    /// The argument at a place as a column.
    pub(super) fn column(&self, place: usize) -> Result<ArrayRef> {
        let Some(value) = self.values.get(place) else { return exec_err!("argument {place} is missing") };
        value.to_array(self.rows)
    }

    /// All arguments as columns.
    pub(super) fn columns(&self) -> Result<Vec<ArrayRef>> {
        (0..self.values.len()).map(|place| self.column(place)).collect()
    }

    /// The argument at a place as a column of a primitive type.
    pub(super) fn primitive<T: ArrowPrimitiveType>(&self, place: usize) -> Result<PrimitiveArray<T>> {
        let column = self.column(place)?;
        let Some(array) = column.as_primitive_opt::<T>() else {
            return exec_err!("{} was expected, {} was given", T::DATA_TYPE, column.data_type());
        };
        Ok(array.clone())
    }
}

/// A text argument of any string type.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Text<'a> {
    /// The same in every row.
    Constant(Option<&'a str>),
    /// `Utf8View`.
    View(&'a StringViewArray),
    /// `Utf8`.
    Small(&'a StringArray),
    /// `LargeUtf8`.
    Large(&'a LargeStringArray),
}

impl<'a> Text<'a> {
    /// A column of strings; a column of nulls counts as one.
    pub(crate) fn of(array: &'a dyn Array) -> Result<Self> {
        match array.data_type() {
            DataType::Utf8View => Ok(Self::View(array.as_string_view())),
            DataType::Utf8 => Ok(Self::Small(array.as_string())),
            DataType::LargeUtf8 => Ok(Self::Large(array.as_string())),
            DataType::Null => Ok(Self::Constant(None)),
            other => exec_err!("text was expected, {other} was given"),
        }
    }

    /// The text of a row.
    pub(crate) fn at(&self, row: usize) -> Option<&'a str> {
        match self {
            Self::Constant(text) => *text,
            Self::View(array) => array.is_valid(row).then(|| array.value(row)),
            Self::Small(array) => array.is_valid(row).then(|| array.value(row)),
            Self::Large(array) => array.is_valid(row).then(|| array.value(row)),
        }
    }
}

/// A column of text from a function of the row.
pub(super) fn texts<S: AsRef<str>>(rows: usize, text: impl Fn(usize) -> Option<S>) -> ArrayRef {
    let mut builder = StringViewBuilder::with_capacity(rows);
    for row in 0..rows {
        builder.append_option(text(row));
    }
    Arc::new(builder.finish())
}

/// A column of reasons: null where the value is valid or there is none.
pub(super) fn reasons<T>(rows: usize, read: impl Fn(usize) -> Option<Result<T, Reason>>) -> ArrayRef {
    texts(rows, |row| read(row).and_then(Result::err))
}

/// A column of a primitive type from a function of the row.
pub(super) fn primitives<T: ArrowPrimitiveType>(
    rows: usize,
    value: impl Fn(usize) -> Option<T::Native>,
) -> PrimitiveArray<T> {
    (0..rows).map(value).collect()
}
