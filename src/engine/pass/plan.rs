//! A specification, checked against its arguments and laid out for the pass.

use datafusion::arrow::datatypes::{DataType as ArrowType, Field, Fields, TimeUnit};
use datafusion::common::{Result, plan_err};

use super::batch::{BEFORE_FILTERS, Kind, Long};
use super::domain::{Numbers, Texts};
use super::extremes::Extremes;
use super::fronts::Fronts;
use super::picks::Picks;
use super::state::State;
use super::sums::Sums;
use super::tallies::{Distinct, Modes};
use super::text_extremes::TextExtremes;
use crate::compile::pass::{PassSpec, Stream};
use crate::sql::Aggregate;
use crate::sql::DataType;

/// The result's type: a struct of the features, in order.
#[must_use]
pub fn shape(spec: &PassSpec) -> ArrowType {
    let fields = spec.features.iter().map(|feature| Field::new(&feature.name, arrow(feature.data_type), true));
    ArrowType::Struct(fields.collect())
}

fn arrow(data_type: DataType) -> ArrowType {
    match data_type {
        DataType::Integer => ArrowType::Int64,
        DataType::Number => ArrowType::Float64,
        DataType::Decimal => ArrowType::Decimal128(38, 9),
        DataType::Boolean => ArrowType::Boolean,
        DataType::Date => ArrowType::Date32,
        DataType::Timestamp => ArrowType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        DataType::TextList => ArrowType::new_list(ArrowType::Utf8View, true),
        DataType::Text | DataType::Json | DataType::Interval | DataType::Unknown => ArrowType::Utf8View,
    }
}

/// Rows that pass a filter, by age class, and who takes them.
#[derive(Debug)]
pub(super) struct Tap {
    /// Which filter; none takes every row.
    pub(super) filter: Option<usize>,
    /// Lower bounds of the classes, descending.
    pub(super) since: Vec<i64>,
    /// The bounds that they had when states of an earlier run were made; the same where there are none.
    pub(super) was: Vec<i64>,
    /// First counters of the streams that count.
    pub(super) counters: Vec<usize>,
    /// Places of the other streams' states.
    pub(super) states: Vec<usize>,
}

impl Tap {
    /// The age class of a time.
    #[inline]
    pub(super) fn class(&self, time: i64) -> Option<u32> {
        class(&self.since, time)
    }

    /// What becomes of a row of this time that was there at an earlier moment already, as it counted then.
    pub(super) fn change(&self, time: i64, moment: i64) -> Change {
        let now = self.class(time);
        if time > moment {
            return now.map_or(Change::None, Change::New);
        }
        match class(&self.was, time) {
            Some(from) if now != Some(from) => Change::Moved { from, to: now },
            _ => Change::None,
        }
    }
}

/// What time does to a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// Nothing.
    None,
    /// It has happened since, and is in this class.
    New(u32),
    /// It has grown too old for its class.
    Moved { from: u32, to: Option<u32> },
}

/// The narrowest window that a time is in.
#[inline]
fn class(since: &[i64], time: i64) -> Option<u32> {
    let class = match since {
        [bound] => usize::from(time < *bound),
        few if few.len() <= 8 => few.iter().filter(|bound| time < **bound).count(),
        many => many.partition_point(|bound| time < *bound),
    };
    (class < since.len()).then_some(class as u32)
}

/// Where a feature's result is.
#[derive(Debug, Clone, Copy)]
pub(super) enum Place {
    /// From this counter on.
    Counter(usize),
    /// In this state.
    State(usize),
}

/// The layout of a pass: what every accumulator of it shares.
#[derive(Debug)]
pub(super) struct Plan {
    /// What reads the rows.
    pub(super) taps: Vec<Tap>,
    /// How many counters a group has.
    pub(super) counters: usize,
    /// How the value columns are held.
    pub(super) kinds: Vec<Kind>,
    /// How many filters there are.
    pub(super) n_filters: usize,
    /// Where the state of each stream of the specification is, and how many classes it has.
    pub(super) streams: Vec<(Place, usize)>,
    /// Where each feature's result is, through which window.
    pub(super) features: Vec<(Place, usize)>,
    /// The features' names and types.
    pub(super) fields: Fields,
    /// The streams that do more than count.
    reduced: Vec<Stream>,
}

impl Plan {
    /// Lays a specification out for arguments and a result of these types.
    pub(super) fn new(spec: &PassSpec, arguments: &[ArrowType], result: &ArrowType) -> Result<Self> {
        Self::after(spec, &[], arguments, result)
    }

    /// The same, where there are states of an earlier run; `was` has the bounds that each stream had then.
    pub(super) fn after(
        spec: &PassSpec,
        was: &[Vec<i64>],
        arguments: &[ArrowType],
        result: &ArrowType,
    ) -> Result<Self> {
        let values = arguments.get(BEFORE_FILTERS + spec.n_filters..).unwrap_or_default();
        let kinds = values.iter().map(Kind::of).collect::<Result<Vec<_>>>()?;
        let ArrowType::Struct(fields) = result else {
            return plan_err!("the shape of cohorte_pass is a {result}, not a struct");
        };
        let mut plan = Self {
            taps: Vec::new(),
            counters: 0,
            kinds,
            n_filters: spec.n_filters,
            features: Vec::with_capacity(spec.features.len()),
            fields: fields.clone(),
            streams: Vec::with_capacity(spec.streams.len()),
            reduced: Vec::new(),
        };
        for (index, stream) in spec.streams.iter().enumerate() {
            plan.check(index, stream)?;
            let place = if stream.aggregate == Aggregate::Count {
                plan.counters += stream.since.len();
                Place::Counter(plan.counters - stream.since.len())
            } else {
                plan.reduced.push(stream.clone());
                Place::State(plan.reduced.len() - 1)
            };
            plan.attach(stream, was.get(index).unwrap_or(&stream.since), place);
            plan.streams.push((place, stream.since.len()));
        }
        if fields.len() != spec.features.len() {
            return plan_err!("the shape of cohorte_pass has {} fields", fields.len());
        }
        for (feature, field) in spec.features.iter().zip(fields) {
            let Some((stream, (place, _))) = spec.streams.get(feature.stream).zip(plan.streams.get(feature.stream))
            else {
                return plan_err!("feature {} of cohorte_pass has no stream {}", feature.name, feature.stream);
            };
            if feature.window >= stream.since.len() {
                return plan_err!("feature {} of cohorte_pass has no window {}", feature.name, feature.window);
            }
            let gives = plan.gives(stream);
            let same = gives == *field.data_type() || (is_text(&gives) && is_text(field.data_type()));
            if !same {
                return plan_err!("feature {} is a {gives}, its shape says {}", feature.name, field.data_type());
            }
            let place = *place;
            plan.features.push((place, feature.window));
        }
        Ok(plan)
    }

    fn check(&self, index: usize, stream: &Stream) -> Result<()> {
        if stream.since.is_empty() || !stream.since.is_sorted_by(|one, next| one > next) {
            return plan_err!("the bounds of stream {index} of cohorte_pass do not descend");
        }
        if stream.filter.is_some_and(|filter| filter >= self.n_filters) {
            return plan_err!("stream {index} of cohorte_pass has no filter");
        }
        if stream.order.is_some() && stream.since != [i64::MIN] {
            return plan_err!("stream {index} of cohorte_pass is ordered by a number and has windows");
        }
        if stream.order.is_some_and(|order| !matches!(self.kinds.get(order), Some(Kind::Long(Long::Integer)))) {
            return plan_err!("stream {index} of cohorte_pass is ordered by no whole number");
        }
        if stream.aggregate == Aggregate::Count {
            return Ok(());
        }
        match (stream.value.and_then(|value| self.kinds.get(value)), stream.aggregate) {
            (None, _) => plan_err!("stream {index} of cohorte_pass has no value"),
            (Some(Kind::Decimal), Aggregate::Sum | Aggregate::Avg) => Ok(()),
            (Some(_), Aggregate::Sum | Aggregate::Avg) => plan_err!("stream {index} of cohorte_pass sums no decimals"),
            (Some(_), _) => Ok(()),
        }
    }

    fn attach(&mut self, stream: &Stream, was: &[i64], place: Place) {
        let same = |tap: &Tap| tap.filter == stream.filter && tap.since == stream.since && tap.was == was;
        let tap = self.taps.iter().position(same).unwrap_or_else(|| {
            let (since, was) = (stream.since.clone(), was.to_vec());
            self.taps.push(Tap { filter: stream.filter, since, was, counters: Vec::new(), states: Vec::new() });
            self.taps.len() - 1
        });
        match place {
            Place::Counter(counter) => self.taps[tap].counters.push(counter),
            Place::State(state) => self.taps[tap].states.push(state),
        }
    }

    fn kind(&self, stream: &Stream) -> Kind {
        stream.value.and_then(|value| self.kinds.get(value)).copied().unwrap_or(Kind::Text)
    }

    fn gives(&self, stream: &Stream) -> ArrowType {
        match (stream.aggregate, self.kind(stream)) {
            (Aggregate::Count | Aggregate::CountDistinct, _) => ArrowType::Int64,
            (Aggregate::Sum | Aggregate::Avg, _) => ArrowType::Float64,
            (_, Kind::Text) => arrow(DataType::Text),
            (_, Kind::Decimal) => arrow(DataType::Decimal),
            (_, Kind::Long(Long::Integer)) => arrow(DataType::Integer),
            (_, Kind::Long(Long::Timestamp)) => arrow(DataType::Timestamp),
            (_, Kind::Long(Long::Date)) => arrow(DataType::Date),
            (_, Kind::Long(Long::Boolean)) => arrow(DataType::Boolean),
            (_, Kind::Long(Long::Number)) => arrow(DataType::Number),
        }
    }

    /// Empty states for the streams that do more than count.
    pub(super) fn states(&self) -> Vec<Box<dyn State>> {
        self.reduced.iter().map(|stream| self.state(stream)).collect()
    }

    fn state(&self, stream: &Stream) -> Box<dyn State> {
        let (value, since, kind) = (stream.value.unwrap_or_default(), stream.since.clone(), self.kind(stream));
        let classes = since.len();
        let is_of_all_time = since == [i64::MIN];
        match (stream.aggregate, kind) {
            (Aggregate::Count | Aggregate::Sum, _) => Box::new(Sums::new(value, classes, false)),
            (Aggregate::Avg, _) => Box::new(Sums::new(value, classes, true)),
            (Aggregate::Min, Kind::Text) => Box::new(TextExtremes::new(value, classes, false)),
            (Aggregate::Max, Kind::Text) => Box::new(TextExtremes::new(value, classes, true)),
            (Aggregate::Min, Kind::Long(_)) if is_of_all_time => Box::new(Extremes::<i64, false>::new(value, kind)),
            (Aggregate::Max, Kind::Long(_)) if is_of_all_time => Box::new(Extremes::<i64, true>::new(value, kind)),
            (Aggregate::Min, Kind::Decimal) if is_of_all_time => Box::new(Extremes::<i128, false>::new(value, kind)),
            (Aggregate::Max, Kind::Decimal) if is_of_all_time => Box::new(Extremes::<i128, true>::new(value, kind)),
            (Aggregate::Min, Kind::Long(_)) => Box::new(Fronts::<i64, false>::new(value, kind, since)),
            (Aggregate::Max, Kind::Long(_)) => Box::new(Fronts::<i64, true>::new(value, kind, since)),
            (Aggregate::Min, Kind::Decimal) => Box::new(Fronts::<i128, false>::new(value, kind, since)),
            (Aggregate::Max, Kind::Decimal) => Box::new(Fronts::<i128, true>::new(value, kind, since)),
            (Aggregate::First, _) => Box::new(Picks::new(value, stream.order, kind, since, false)),
            (Aggregate::Last, _) => Box::new(Picks::new(value, stream.order, kind, since, true)),
            (Aggregate::CountDistinct, Kind::Text) => Box::new(Distinct::new(value, since, Texts::default())),
            (Aggregate::CountDistinct, Kind::Long(_)) => {
                Box::new(Distinct::new(value, since, Numbers::<i64>::new(kind)))
            }
            (Aggregate::CountDistinct, Kind::Decimal) => {
                Box::new(Distinct::new(value, since, Numbers::<i128>::new(kind)))
            }
            (Aggregate::Mode, Kind::Text) => Box::new(Modes::new(value, classes, Texts::default())),
            (Aggregate::Mode, Kind::Long(_)) => Box::new(Modes::new(value, classes, Numbers::<i64>::new(kind))),
            (Aggregate::Mode, Kind::Decimal) => Box::new(Modes::new(value, classes, Numbers::<i128>::new(kind))),
        }
    }
}

/// Whether a type is one of the strings.
pub(super) fn is_text(data_type: &ArrowType) -> bool {
    matches!(data_type, ArrowType::Utf8 | ArrowType::LargeUtf8 | ArrowType::Utf8View)
}
