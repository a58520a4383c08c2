//! `cohorte_hash`: a fingerprint of values that stays the same for ever, on every machine, in every version; and `cohorte_digest`, 64 bits
//! that are faster and only mean something to the version of cohorte that made them.
//!
//! 128 bits of BLAKE3 as 32 hexadecimal digits: two different rows among a billion collide with odds of about 1 in 10^21.
//! Syncs keep these to know what they delivered, so the encoding below is a promise: it may grow, never change.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, Int64Array, StringViewBuilder};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float64Type, Int64Type, Time64NanosecondType, TimeUnit,
    TimestampMicrosecondType, TimestampNanosecondType, UInt64Type,
};
use datafusion::common::{Result, exec_err};
use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

use super::call::{Function, Takes};

pub(super) fn functions() -> Vec<Function> {
    let hash = Function::new("cohorte_hash", Takes::Anything, DataType::Utf8View, |arguments| {
        let mut builder = StringViewBuilder::with_capacity(arguments.rows);
        each_row(&arguments.columns()?, arguments.rows, |bytes| {
            builder.append_value(&blake3::hash(bytes).to_hex()[..32]);
        })?;
        Ok(Arc::new(builder.finish()))
    });
    let digest = Function::new("cohorte_digest", Takes::Anything, DataType::Int64, |arguments| {
        let mut digests = Vec::with_capacity(arguments.rows);
        each_row(&arguments.columns()?, arguments.rows, |bytes| digests.push(xxh3_64(bytes) as i64))?;
        Ok(Arc::new(Int64Array::from(digests)))
    });
    vec![hash, digest]
}

/// The sum of the digests of rows: the same whatever their order. Its digests are faster than those of `cohorte_hash`, and only
/// mean something to the version of cohorte that made them.
pub fn sum_of_rows(columns: &[ArrayRef], rows: usize) -> Result<u128> {
    let mut sum = 0_u128;
    each_row(columns, rows, |bytes| sum = sum.wrapping_add(xxh3_128(bytes)))?;
    Ok(sum)
}

/// Every row as bytes, as its columns' values say.
fn each_row(columns: &[ArrayRef], rows: usize, mut take: impl FnMut(&[u8])) -> Result<()> {
    let encoders = columns.iter().map(Encoder::new).collect::<Result<Vec<_>>>()?;
    let mut bytes = Vec::new();
    for row in 0..rows {
        bytes.clear();
        push_length(&mut bytes, encoders.len());
        for encoder in &encoders {
            encoder.push(&mut bytes, row);
        }
        take(&bytes);
    }
    Ok(())
}

/// A column, widened to the type that its kind of value is encoded as, so that storage types make no difference.
///
/// Each value is a tag and its bytes: `n` null; `b` boolean, a byte; `i` integer, 16 bytes; `f` float, 8 bytes, one NaN
/// and one zero; `d` decimal, digits (16 bytes) and scale (1) without trailing zeros; `t` text and `x` bytes, length and
/// bytes; `D` day, 4 bytes; `c` time of day, 8 bytes of nanoseconds; `T` instant and `N` clock reading, 16 bytes of
/// nanoseconds; `l` list, length and values; `m` map, length, keys and values; `s` struct, length, names and values.
/// Numbers are little-endian, lengths 8 bytes.
enum Encoder {
    Null,
    Boolean(ArrayRef),
    Signed(ArrayRef),
    Unsigned(ArrayRef),
    Float(ArrayRef),
    Decimal(ArrayRef, i8),
    Text(ArrayRef),
    Bytes(ArrayRef),
    Day(ArrayRef),
    TimeOfDay(ArrayRef),
    Micros(ArrayRef, u8),
    Nanos(ArrayRef, u8),
    List(ArrayRef, Box<Encoder>),
    Map(ArrayRef, Box<Encoder>, Box<Encoder>),
    Struct(ArrayRef, Vec<(String, Encoder)>),
}

impl Encoder {
    fn new(column: &ArrayRef) -> Result<Self> {
        let to = |target: &DataType| cast(column, target);
        Ok(match column.data_type() {
            DataType::Null => Self::Null,
            DataType::Boolean => Self::Boolean(Arc::clone(column)),
            DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64 => Self::Signed(to(&DataType::Int64)?),
            DataType::UInt8 | DataType::UInt16 | DataType::UInt32 | DataType::UInt64 => {
                Self::Unsigned(to(&DataType::UInt64)?)
            }
            DataType::Float16 | DataType::Float32 | DataType::Float64 => Self::Float(to(&DataType::Float64)?),
            DataType::Decimal32(_, scale) | DataType::Decimal64(_, scale) | DataType::Decimal128(_, scale) => {
                Self::Decimal(to(&DataType::Decimal128(38, *scale))?, *scale)
            }
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Self::Text(to(&DataType::Utf8View)?),
            DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
                Self::Bytes(to(&DataType::BinaryView)?)
            }
            DataType::Date32 | DataType::Date64 => Self::Day(to(&DataType::Date32)?),
            DataType::Time32(_) | DataType::Time64(_) => Self::TimeOfDay(to(&DataType::Time64(TimeUnit::Nanosecond))?),
            DataType::Timestamp(unit, zone) => {
                let tag = if zone.is_some() { b'T' } else { b'N' };
                match unit {
                    TimeUnit::Nanosecond => Self::Nanos(Arc::clone(column), tag),
                    _ => Self::Micros(to(&DataType::Timestamp(TimeUnit::Microsecond, zone.clone()))?, tag),
                }
            }
            DataType::Dictionary(_, value) => Self::new(&to(value)?)?,
            DataType::List(item)
            | DataType::ListView(item)
            | DataType::LargeListView(item)
            | DataType::FixedSizeList(item, _) => Self::list(&to(&DataType::LargeList(Arc::clone(item)))?)?,
            DataType::LargeList(_) => Self::list(column)?,
            DataType::Map(..) => {
                let map = column.as_map();
                let (keys, values) = (Self::new(map.keys())?, Self::new(map.values())?);
                Self::Map(Arc::clone(column), Box::new(keys), Box::new(values))
            }
            DataType::Struct(_) => {
                let fields = column.as_struct();
                let names = fields.column_names().into_iter().map(str::to_owned);
                let encoders = fields.columns().iter().map(Self::new).collect::<Result<Vec<_>>>()?;
                Self::Struct(Arc::clone(column), names.zip(encoders).collect())
            }
            other => return exec_err!("values of type {other} have no fingerprint"),
        })
    }

    fn list(column: &ArrayRef) -> Result<Self> {
        Ok(Self::List(Arc::clone(column), Box::new(Self::new(column.as_list::<i64>().values())?)))
    }

    fn column(&self) -> Option<&ArrayRef> {
        match self {
            Self::Null => None,
            Self::Boolean(column)
            | Self::Signed(column)
            | Self::Unsigned(column)
            | Self::Float(column)
            | Self::Decimal(column, _)
            | Self::Text(column)
            | Self::Bytes(column)
            | Self::Day(column)
            | Self::TimeOfDay(column)
            | Self::Micros(column, _)
            | Self::Nanos(column, _)
            | Self::List(column, _)
            | Self::Map(column, ..)
            | Self::Struct(column, _) => Some(column),
        }
    }

    fn push(&self, bytes: &mut Vec<u8>, row: usize) {
        if self.column().is_none_or(|column| column.is_null(row)) {
            bytes.push(b'n');
            return;
        }
        match self {
            Self::Null => {}
            Self::Boolean(column) => bytes.extend([b'b', u8::from(column.as_boolean().value(row))]),
            Self::Signed(column) => push_wide(bytes, b'i', column.as_primitive::<Int64Type>().value(row).into()),
            Self::Unsigned(column) => push_wide(bytes, b'i', column.as_primitive::<UInt64Type>().value(row).into()),
            Self::Float(column) => {
                let value = column.as_primitive::<Float64Type>().value(row);
                let one = if value.is_nan() { 0x7ff8_0000_0000_0000 } else { (value + 0.0).to_bits() };
                bytes.push(b'f');
                bytes.extend(one.to_le_bytes());
            }
            Self::Decimal(column, scale) => {
                let (mut digits, mut scale) = (column.as_primitive::<Decimal128Type>().value(row), *scale);
                while digits != 0 && digits % 10 == 0 && scale > i8::MIN {
                    digits /= 10;
                    scale -= 1;
                }
                push_wide(bytes, b'd', digits);
                bytes.extend(if digits == 0 { 0 } else { scale }.to_le_bytes());
            }
            Self::Text(column) => push_bytes(bytes, b't', column.as_string_view().value(row).as_bytes()),
            Self::Bytes(column) => push_bytes(bytes, b'x', column.as_binary_view().value(row)),
            Self::Day(column) => {
                bytes.push(b'D');
                bytes.extend(column.as_primitive::<Date32Type>().value(row).to_le_bytes());
            }
            Self::TimeOfDay(column) => {
                bytes.push(b'c');
                bytes.extend(column.as_primitive::<Time64NanosecondType>().value(row).to_le_bytes());
            }
            Self::Micros(column, tag) => {
                let micros = column.as_primitive::<TimestampMicrosecondType>().value(row);
                push_wide(bytes, *tag, i128::from(micros) * 1000);
            }
            Self::Nanos(column, tag) => {
                push_wide(bytes, *tag, column.as_primitive::<TimestampNanosecondType>().value(row).into());
            }
            Self::List(column, values) => {
                let offsets = column.as_list::<i64>().value_offsets();
                let (from, to) = (offsets[row] as usize, offsets[row + 1] as usize);
                bytes.push(b'l');
                push_length(bytes, to - from);
                (from..to).for_each(|entry| values.push(bytes, entry));
            }
            Self::Map(column, keys, values) => {
                let offsets = column.as_map().value_offsets();
                let (from, to) = (offsets[row] as usize, offsets[row + 1] as usize);
                bytes.push(b'm');
                push_length(bytes, to - from);
                for entry in from..to {
                    keys.push(bytes, entry);
                    values.push(bytes, entry);
                }
            }
            Self::Struct(_, fields) => {
                bytes.push(b's');
                push_length(bytes, fields.len());
                for (name, values) in fields {
                    push_bytes(bytes, b't', name.as_bytes());
                    values.push(bytes, row);
                }
            }
        }
    }
}

fn push_wide(bytes: &mut Vec<u8>, tag: u8, value: i128) {
    bytes.push(tag);
    bytes.extend(value.to_le_bytes());
}

fn push_bytes(bytes: &mut Vec<u8>, tag: u8, value: &[u8]) {
    bytes.push(tag);
    push_length(bytes, value.len());
    bytes.extend(value);
}

fn push_length(bytes: &mut Vec<u8>, length: usize) {
    bytes.extend((length as u64).to_le_bytes());
}

#[cfg(test)]
mod tests {
    use crate::engine::functions::tests::row;

    async fn hashes(values: &[&str]) -> Vec<String> {
        let calls: Vec<String> =
            values.iter().enumerate().map(|(n, value)| format!("cohorte_hash({value}) as h{n}")).collect();
        row(&format!("select {} from (values (1)) v(x)", calls.join(", "))).await
    }

    #[tokio::test]
    async fn the_encoding_is_a_promise() {
        // These figures may never change.
        let values = [
            "'a'",
            "1",
            "null",
            "'a', 1, true",
            "arrow_cast(1.5, 'Decimal128(38, 9)')",
            "date '2026-01-15'",
            "1.5e0",
            "[1, null]",
        ];
        let promised = [
            "31f97febca78829f0e021787d1281da6",
            "fef9cd392886864a939b6676633fce4c",
            "ddfeefbed14bd5fb801e685e29523fcd",
            "0fe09f9e7692d08792f72047859985f0",
            "c1406038e6211835bb07a38fdc6daad1",
            "72502ad97d7f19bace9c9734ed712674",
            "b64ba5e4703f76d450a5d07ed0a08e8a",
            "b1d118a54b99488a63d71f0792ea7b67",
        ];
        assert_eq!(hashes(&values).await, promised);
        let by_hand = blake3::hash(b"\x01\0\0\0\0\0\0\0t\x01\0\0\0\0\0\0\0a").to_hex();
        assert!(by_hand.starts_with(promised[0]));
    }

    #[tokio::test]
    async fn storage_makes_no_difference() {
        let same = [
            ("'a'", "arrow_cast('a', 'Utf8View')"),
            ("'a'", "arrow_cast('a', 'LargeUtf8')"),
            ("'a'", "arrow_cast('a', 'Dictionary(Int32, Utf8)')"),
            ("arrow_cast(1, 'Int8')", "arrow_cast(1, 'UInt64')"),
            ("arrow_cast(1.5, 'Float32')", "arrow_cast(1.5, 'Float64')"),
            ("arrow_cast(1.5, 'Decimal128(10, 2)')", "arrow_cast(1.5, 'Decimal128(38, 9)')"),
            ("arrow_cast(0, 'Decimal128(10, 2)')", "arrow_cast(0, 'Decimal128(38, 9)')"),
            ("0.0::double", "(-1 * 0.0::double)"),
            ("arrow_cast('2026-01-15', 'Timestamp(s, None)')", "arrow_cast('2026-01-15', 'Timestamp(ns, None)')"),
            ("[1, 2]", "arrow_cast([1, 2], 'LargeList(Int64)')"),
        ];
        for (one, other) in same {
            let hashes = hashes(&[one, other]).await;
            assert_eq!(hashes[0], hashes[1], "{one} {other}");
            assert_eq!(hashes[0].len(), 32);
        }
    }

    #[tokio::test]
    async fn what_differs_differs() {
        let values = [
            "''",
            "null",
            "null, null",
            "'', null",
            "null, ''",
            "'a'",
            "'a', 'b'",
            "'ab'",
            "'ab', ''",
            "1",
            "1.0::double",
            "'1'",
            "true",
            "1, 0",
            "10",
            "arrow_cast(10.5, 'Decimal128(10, 2)')",
            "arrow_cast(1.05, 'Decimal128(10, 2)')",
            "date '1970-01-02'",
            "timestamp '1970-01-02'",
            "arrow_cast(timestamp '1970-01-02', 'Timestamp(us, Some(\"UTC\"))')",
            "[1]",
            "[[1]]",
            "['a']",
            "[1, null]",
            "named_struct('a', 1)",
            "named_struct('b', 1)",
            "map(['a'], [1])",
        ];
        let mut hashes = hashes(&values).await;
        hashes.sort();
        hashes.dedup();
        assert_eq!(hashes.len(), values.len());
    }
}
