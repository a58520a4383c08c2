//! A YAML tree whose texts may hold expressions: the body of a request before it is built.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::text::Located;

/// A node with its place.
pub type Tree = Located<TreeValue>;

/// The kinds of node.
#[derive(Debug, Clone, PartialEq)]
pub enum TreeValue {
    /// `null`
    Null,
    /// A truth value.
    Boolean(bool),
    /// A whole number.
    Integer(i64),
    /// Another number.
    Number(f64),
    /// Text, or one or several `{{ expressions }}` in it.
    Text(String),
    /// A list.
    List(Vec<Tree>),
    /// A map, in the order as written.
    Map(Vec<(Located<String>, Tree)>),
}

impl<'de> Deserialize<'de> for TreeValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = TreeValue;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("any value")
            }
            fn visit_unit<E: de::Error>(self) -> Result<TreeValue, E> {
                Ok(TreeValue::Null)
            }
            fn visit_bool<E: de::Error>(self, truth: bool) -> Result<TreeValue, E> {
                Ok(TreeValue::Boolean(truth))
            }
            fn visit_i64<E: de::Error>(self, number: i64) -> Result<TreeValue, E> {
                Ok(TreeValue::Integer(number))
            }
            fn visit_f64<E: de::Error>(self, number: f64) -> Result<TreeValue, E> {
                Ok(TreeValue::Number(number))
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<TreeValue, E> {
                Ok(TreeValue::Text(text.to_owned()))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<TreeValue, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = list.next_element()? {
                    items.push(item);
                }
                Ok(TreeValue::List(items))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<TreeValue, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(TreeValue::Map(entries))
            }
        }
        deserializer.deserialize_any(Any)
    }
}

impl JsonSchema for TreeValue {
    fn schema_name() -> Cow<'static, str> {
        "Tree".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"description": "Any value; texts may hold `{{ expressions }}`."})
    }
}
