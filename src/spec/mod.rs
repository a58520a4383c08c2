//! The YAML as written: one file per kind of model. Nothing is resolved here; names and SQL are still text with places.

mod condition;
pub mod connector;
mod consent;
mod duration;
mod entity;
mod interpolate;
mod read;
mod schema;
mod score;
mod segment;
mod source;
mod sync;
mod traits;
mod warehouse;

pub use condition::{Condition, ConditionMap, ConsentCondition, Count};
pub use consent::{Basis, ConsentSource, Purpose, StatusMap};
pub use duration::{Duration, Unit};
pub use entity::{Attribute, Entity, Identifier, Identity, IdentitySource, Pick, Role};
pub use interpolate::Variables;
pub use read::{MODEL_SECTIONS, Named, Spec, read, read_file};
pub use schema::{connector_json_schema, json_schema};
pub use score::{Points, Rfm, Score};
pub use segment::{Guard, Include, Percent, Segment};
pub use source::{
    Column, ColumnType, Event, EventColumn, EventSource, ExpectSeverity, Expectation, Format, Source, Versions,
};
pub use sync::{ConsentGate, Destination, FirstRun, From, Mode, Nulls, OnRemove, OnWithdraw, Sync, SyncGuard};
pub use traits::Trait;
pub use warehouse::{Alert, Connection, Engine, Target, Warehouse, WarehouseFile};

use crate::text::Located;

/// Text with its place: a name, or SQL.
pub type Text = Located<String>;
