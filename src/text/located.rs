//! Values that know where they were written, and the few shapes that YAML allows in several spellings.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};

use super::span::{FileId, Span};

/// Names by which a type asks the [decoder](super::decode) for what serde has no words for.
pub(super) const LOCATED: &str = "$located";
pub(super) const TEXT_OR: &str = "$text_or";
pub(super) const ONE_OR_MANY: &str = "$one_or_many";

/// A value and the place where it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located<T> {
    /// The value.
    pub value: T,
    /// Its place.
    pub span: Span,
}

impl<T> Deref for Located<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> Located<T> {
    /// A value at a place.
    pub fn new(value: T, span: Span) -> Self {
        Self { value, span }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Located<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Place<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Place<T> {
            type Value = Located<T>;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a value")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Located<T>, A::Error> {
                let lost = || de::Error::custom("a place is missing");
                let file: u32 = parts.next_element()?.ok_or_else(lost)?;
                let start: u32 = parts.next_element()?.ok_or_else(lost)?;
                let end: u32 = parts.next_element()?.ok_or_else(lost)?;
                let value: T = parts.next_element()?.ok_or_else(lost)?;
                Ok(Located { value, span: Span { file: FileId(file), start, end } })
            }
        }
        deserializer.deserialize_tuple_struct(LOCATED, 4, Place(PhantomData))
    }
}

impl<T: JsonSchema> JsonSchema for Located<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }
    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }
    fn schema_id() -> Cow<'static, str> {
        T::schema_id()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

/// Text, or something with more to it.
#[derive(Debug, Clone, PartialEq)]
pub enum TextOr<T> {
    /// Text.
    Text(String),
    /// The other.
    Other(T),
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for TextOr<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Either<T> {
            type Value = TextOr<T>;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("text or a map")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<TextOr<T>, E> {
                Ok(TextOr::Text(text.to_owned()))
            }
            fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<TextOr<T>, D::Error> {
                T::deserialize(inner).map(TextOr::Other)
            }
        }
        deserializer.deserialize_newtype_struct(TEXT_OR, Either(PhantomData))
    }
}

impl<T: JsonSchema> JsonSchema for TextOr<T> {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        format!("TextOr{}", T::schema_name()).into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let other = generator.subschema_for::<T>();
        json_schema!({"anyOf": [{"type": "string"}, other]})
    }
}

/// One thing, or a list of them.
#[derive(Debug, Clone, PartialEq)]
pub struct OneOrMany<T>(pub Vec<T>);

impl<T> Default for OneOrMany<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Deref for OneOrMany<T> {
    type Target = Vec<T>;
    fn deref(&self) -> &Vec<T> {
        &self.0
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for OneOrMany<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Any<T> {
            type Value = OneOrMany<T>;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("one value or a list")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<OneOrMany<T>, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = list.next_element()? {
                    items.push(item);
                }
                Ok(OneOrMany(items))
            }
            fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<OneOrMany<T>, D::Error> {
                T::deserialize(inner).map(|item| OneOrMany(vec![item]))
            }
        }
        deserializer.deserialize_newtype_struct(ONE_OR_MANY, Any(PhantomData))
    }
}

impl<T: JsonSchema> JsonSchema for OneOrMany<T> {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        format!("OneOrMany{}", T::schema_name()).into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let one = generator.subschema_for::<T>();
        json_schema!({"anyOf": [one, {"type": "array", "items": one}]})
    }
}

/// Named things, in the order as written; the names are distinct.
#[derive(Debug, Clone, PartialEq)]
pub struct Section<T>(pub Vec<(Located<String>, T)>);

impl<T> Default for Section<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Section<T> {
    /// The thing of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&T> {
        self.0.iter().find(|(key, _)| key.value == name).map(|(_, value)| value)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (&Located<String>, &T)> {
        self.0.iter().map(|(key, value)| (key, value))
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Section<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Entries<T> {
            type Value = Section<T>;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a map")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Section<T>, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Section(entries))
            }
        }
        deserializer.deserialize_map(Entries(PhantomData))
    }
}

impl<T: JsonSchema> JsonSchema for Section<T> {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        format!("SectionOf{}", T::schema_name()).into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let item = generator.subschema_for::<T>();
        json_schema!({"type": "object", "additionalProperties": item})
    }
}

/// A constant of a model.
#[derive(Debug, Clone, PartialEq)]
pub enum Constant {
    /// Text.
    Text(String),
    /// A truth value.
    Boolean(bool),
    /// A whole number.
    Integer(i64),
    /// Another number.
    Number(f64),
}

/// Where a value is expected: text is SQL; numbers, booleans and `{value: …}` are constants.
#[derive(Debug, Clone, PartialEq)]
pub enum ValueSpec {
    /// SQL.
    Sql(String),
    /// A constant.
    Constant(Constant),
}

impl<'de> Deserialize<'de> for Constant {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Scalar;
        impl Visitor<'_> for Scalar {
            type Value = Constant;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("text, a number or a boolean")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Constant, E> {
                Ok(Constant::Text(text.to_owned()))
            }
            fn visit_bool<E: de::Error>(self, truth: bool) -> Result<Constant, E> {
                Ok(Constant::Boolean(truth))
            }
            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Constant, E> {
                Ok(Constant::Integer(number))
            }
            fn visit_f64<E: de::Error>(self, number: f64) -> Result<Constant, E> {
                Ok(Constant::Number(number))
            }
        }
        deserializer.deserialize_any(Scalar)
    }
}

impl<'de> Deserialize<'de> for ValueSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Wrapped {
            value: Constant,
        }
        struct SqlOrConstant;
        impl<'de> Visitor<'de> for SqlOrConstant {
            type Value = ValueSpec;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("SQL, a number, a boolean or `{value: …}`")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<ValueSpec, E> {
                Ok(ValueSpec::Sql(text.to_owned()))
            }
            fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<ValueSpec, D::Error> {
                Wrapped::deserialize(inner).map(|wrapped| ValueSpec::Constant(wrapped.value))
            }
            fn visit_bool<E: de::Error>(self, truth: bool) -> Result<ValueSpec, E> {
                Ok(ValueSpec::Constant(Constant::Boolean(truth)))
            }
            fn visit_i64<E: de::Error>(self, number: i64) -> Result<ValueSpec, E> {
                Ok(ValueSpec::Constant(Constant::Integer(number)))
            }
            fn visit_f64<E: de::Error>(self, number: f64) -> Result<ValueSpec, E> {
                Ok(ValueSpec::Constant(Constant::Number(number)))
            }
        }
        deserializer.deserialize_newtype_struct(TEXT_OR, SqlOrConstant)
    }
}

impl JsonSchema for Constant {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Constant".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": ["string", "number", "boolean"]})
    }
}

impl JsonSchema for ValueSpec {
    fn schema_name() -> Cow<'static, str> {
        "SqlOrConstant".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Text is SQL; numbers, booleans and `{value: …}` are constants.",
            "anyOf": [
                {"type": ["string", "number", "boolean"]},
                {"type": "object", "properties": {"value": {"type": ["string", "number", "boolean"]}}, "required": ["value"], "additionalProperties": false}
            ]
        })
    }
}
