//! A serde deserializer over the tree: errors have places, and unknown keys are all collected instead of ending the work.

use std::cell::RefCell;
use std::fmt;

use serde::de::value::StrDeserializer;
use serde::de::{
    self, DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, MapAccess, SeqAccess, VariantAccess, Visitor,
};
use serde::{Deserialize, forward_to_deserialize_any};

use super::located::{LOCATED, ONE_OR_MANY, TEXT_OR};
use super::span::Span;
use super::yaml::{Key, Node, Value};
use crate::diag::nearest;

/// A key that the type does not know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unknown {
    /// The key.
    pub key: String,
    /// Its place.
    pub span: Span,
    /// The keys that are known there.
    pub known: &'static [&'static str],
}

/// Reads a value of type `T` from a tree. Keys that `T` does not know are left out and told in `unknown`; the first
/// other error ends the reading of this value: what is wrong, and where.
pub fn decode<'de, T: Deserialize<'de>>(node: &'de Node, unknown: &RefCell<Vec<Unknown>>) -> Result<T, (Span, String)> {
    T::deserialize(Decoder { node, unknown }).map_err(|error| (error.span.unwrap_or(node.span), error.message))
}

#[derive(Debug)]
struct Error {
    span: Option<Span>,
    message: String,
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

impl de::Error for Error {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self { span: None, message: message.to_string() }
    }

    fn invalid_type(found: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        // The found value is not repeated: it may be a secret.
        let found = match found {
            de::Unexpected::Bool(_) => "a boolean",
            de::Unexpected::Unsigned(_) | de::Unexpected::Signed(_) => "a whole number",
            de::Unexpected::Float(_) => "a number",
            de::Unexpected::Str(_) => "text",
            de::Unexpected::Unit | de::Unexpected::Option => "nothing",
            de::Unexpected::Seq => "a list",
            de::Unexpected::Map => "a map",
            _ => "something else",
        };
        let expected = match expected.to_string().as_str() {
            "u32" | "u64" | "i64" => "a whole number".to_owned(),
            "f64" => "a number".to_owned(),
            "a string" => "text".to_owned(),
            "a sequence" => "a list".to_owned(),
            expected => expected.to_owned(),
        };
        Self::custom(format!("{expected} is expected here, {found} was found"))
    }

    fn invalid_value(_: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        match expected.to_string().as_str() {
            "u32" | "u64" => Self::custom("a whole number that is not negative is expected here, and not a huge one"),
            expected => Self::custom(format!("{expected} is expected here")),
        }
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        let near = nearest(variant, expected.iter().copied());
        let hint = near.map_or(String::new(), |near| format!(" (did you mean `{near}`?)"));
        Self::custom(format!("`{variant}` is not one of {}{hint}", list(expected)))
    }

    fn missing_field(field: &'static str) -> Self {
        Self::custom(format!("`{field}` is missing"))
    }
}

fn list(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

#[derive(Clone, Copy)]
struct Decoder<'de, 'u> {
    node: &'de Node,
    unknown: &'u RefCell<Vec<Unknown>>,
}

impl<'de, 'u> Decoder<'de, 'u> {
    /// Errors from inside that have no place yet happened at this node.
    fn here<T>(&self, result: Result<T, Error>) -> Result<T, Error> {
        result.map_err(|error| Error { span: error.span.or(Some(self.node.span)), ..error })
    }

    fn map(self, known: Option<&'static [&'static str]>) -> Entries<'de, 'u> {
        let entries = match &self.node.value {
            Value::Map(entries) => entries.as_slice(),
            _ => &[],
        };
        Entries { entries: entries.iter(), pending: None, known, unknown: self.unknown }
    }
}

impl<'de> Deserializer<'de> for Decoder<'de, '_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let result = match &self.node.value {
            Value::Null => visitor.visit_unit(),
            Value::Boolean(truth) => visitor.visit_bool(*truth),
            Value::Integer(number) => visitor.visit_i64(*number),
            Value::Number(number) => visitor.visit_f64(*number),
            Value::Text(text) => visitor.visit_borrowed_str(text),
            Value::List(items) => visitor.visit_seq(Items { items: items.iter(), unknown: self.unknown }),
            Value::Map(_) => visitor.visit_map(self.map(None)),
        };
        self.here(result)
    }

    /// Names and texts may look like numbers or booleans to YAML (`version: 2`).
    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let result = match &self.node.value {
            Value::Boolean(truth) => visitor.visit_string(truth.to_string()),
            Value::Integer(number) => visitor.visit_string(number.to_string()),
            Value::Number(number) => visitor.visit_string(number.to_string()),
            _ => return self.deserialize_any(visitor),
        };
        self.here(result)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_string(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.node.value {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match &self.node.value {
            Value::Map(_) | Value::Null => self.here(visitor.visit_map(self.map(Some(fields)))),
            other => {
                let message = format!("a map is expected here, {} was found", other.kind());
                Err(Error { span: Some(self.node.span), message })
            }
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.node.value {
            Value::Null => self.here(visitor.visit_map(self.map(None))),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, Error> {
        if name == LOCATED {
            return self.here(visitor.visit_seq(Place { at: self.node.span, part: 0, value: self }));
        }
        self.deserialize_any(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, Error> {
        match (name, &self.node.value) {
            (TEXT_OR, Value::Map(_)) | (ONE_OR_MANY, Value::Map(_) | Value::Text(_) | Value::Integer(_)) => {
                self.here(visitor.visit_newtype_struct(self))
            }
            (TEXT_OR | ONE_OR_MANY, _) => self.deserialize_any(visitor),
            _ => self.here(visitor.visit_newtype_struct(self)),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match &self.node.value {
            Value::Text(text) => self.here(visitor.visit_enum(text.as_str().into_deserializer())),
            Value::Map(entries) if entries.len() == 1 => {
                let (key, node) = &entries[0];
                self.here(visitor.visit_enum(Variant { key, inner: Decoder { node, unknown: self.unknown } }))
            }
            other => {
                let message = format!("a name is expected here, {} was found", other.kind());
                Err(Error { span: Some(self.node.span), message })
            }
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char bytes byte_buf unit unit_struct seq tuple identifier ignored_any
    }
}

struct Items<'de, 'u> {
    items: std::slice::Iter<'de, Node>,
    unknown: &'u RefCell<Vec<Unknown>>,
}

impl<'de> SeqAccess<'de> for Items<'de, '_> {
    type Error = Error;
    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        self.items.next().map(|node| seed.deserialize(Decoder { node, unknown: self.unknown })).transpose()
    }
}

struct Entries<'de, 'u> {
    entries: std::slice::Iter<'de, (Key, Node)>,
    pending: Option<&'de Node>,
    known: Option<&'static [&'static str]>,
    unknown: &'u RefCell<Vec<Unknown>>,
}

impl<'de> MapAccess<'de> for Entries<'de, '_> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        for (key, node) in self.entries.by_ref() {
            if let Some(known) = self.known
                && !known.contains(&key.text.as_str())
            {
                self.unknown.borrow_mut().push(Unknown { key: key.text.clone(), span: key.span, known });
                continue;
            }
            self.pending = Some(node);
            return seed.deserialize(KeyDecoder(key)).map(Some);
        }
        Ok(None)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        let node = self.pending.take().ok_or_else(|| de::Error::custom("a value is missing"))?;
        seed.deserialize(Decoder { node, unknown: self.unknown })
    }
}

/// Keys are text, with a place where the type asks for it.
struct KeyDecoder<'de>(&'de Key);

impl<'de> Deserializer<'de> for KeyDecoder<'de> {
    type Error = Error;
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_borrowed_str(&self.0.text)
    }
    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, Error> {
        if name == LOCATED {
            let at = self.0.span;
            return visitor.visit_seq(Place { at, part: 0, value: self });
        }
        self.deserialize_any(visitor)
    }
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_enum(self.0.text.as_str().into_deserializer())
    }
    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple map struct identifier ignored_any
    }
}

/// Gives (file, start, end, value) to [`super::Located`].
struct Place<D> {
    at: Span,
    part: u8,
    value: D,
}

impl<'de, D: Deserializer<'de, Error = Error> + CloneCheap> SeqAccess<'de> for Place<D> {
    type Error = Error;
    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        self.part += 1;
        match self.part {
            1 => seed.deserialize(self.at.file.0.into_deserializer()).map(Some),
            2 => seed.deserialize(self.at.start.into_deserializer()).map(Some),
            3 => seed.deserialize(self.at.end.into_deserializer()).map(Some),
            4 => seed.deserialize(self.value.again()).map(Some),
            _ => Ok(None),
        }
    }
}

/// A decoder is a pair of references: taking it again costs nothing.
trait CloneCheap {
    fn again(&self) -> Self;
}

impl CloneCheap for Decoder<'_, '_> {
    fn again(&self) -> Self {
        *self
    }
}

impl CloneCheap for KeyDecoder<'_> {
    fn again(&self) -> Self {
        Self(self.0)
    }
}

struct Variant<'de, 'u> {
    key: &'de Key,
    inner: Decoder<'de, 'u>,
}

impl<'de, 'u> EnumAccess<'de> for Variant<'de, 'u> {
    type Error = Error;
    type Variant = Decoder<'de, 'u>;
    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self::Variant), Error> {
        let name: StrDeserializer<'_, Error> = self.key.text.as_str().into_deserializer();
        let variant =
            seed.deserialize(name).map_err(|error| Error { span: error.span.or(Some(self.key.span)), ..error })?;
        Ok((variant, self.inner))
    }
}

impl<'de> VariantAccess<'de> for Decoder<'de, '_> {
    type Error = Error;
    fn unit_variant(self) -> Result<(), Error> {
        Err(Error { span: Some(self.node.span), message: "nothing is expected here".into() })
    }
    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Error> {
        seed.deserialize(self)
    }
    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_any(visitor)
    }
    fn struct_variant<V: Visitor<'de>>(self, fields: &'static [&'static str], visitor: V) -> Result<V::Value, Error> {
        self.deserialize_struct("", fields, visitor)
    }
}
