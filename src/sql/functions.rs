//! The functions that models may call: free of side effects and deterministic. What is not here is refused.

use super::types::DataType::{self, Boolean, Date, Integer, Number, Text, Timestamp};

/// What a function takes and gives.
#[derive(Debug, Clone, Copy)]
pub struct Signature {
    /// Its name, in lower case.
    pub name: &'static str,
    /// Kinds of its arguments; the last one repeats where `variadic`.
    pub takes: &'static [Kind],
    /// How many of `takes` must be there.
    pub required: usize,
    /// May the last kind repeat?
    pub variadic: bool,
    /// What it gives.
    pub gives: Gives,
}

/// A kind of argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Anything.
    Any,
    /// Text.
    Text,
    /// A number of either kind.
    Number,
    /// A whole number.
    Integer,
    /// A date or an instant.
    Time,
    /// A list of texts.
    List,
    /// The same type as the other arguments of this kind.
    Same,
}

/// What a function gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gives {
    /// This type.
    Just(DataType),
    /// The common type of the arguments of kind `Same`.
    Same,
    /// The type of its (first) number.
    FirstNumber,
}

const fn function(name: &'static str, takes: &'static [Kind], required: usize, gives: Gives) -> Signature {
    Signature { name, takes, required, variadic: false, gives }
}

const fn variadic(name: &'static str, takes: &'static [Kind], required: usize, gives: Gives) -> Signature {
    Signature { name, takes, required, variadic: true, gives }
}

use Gives::{FirstNumber, Just, Same as SameType};
use Kind::{Any, Integer as Int, List, Number as Num, Same, Text as Txt, Time};

/// Every function, by name. Those of the engine keep its meaning; `days_between`, `years_between`, `days_until_anniversary`
/// and `local_date` are ours and count days of the project's zone.
pub const FUNCTIONS: &[Signature] = &[
    function("abs", &[Num], 1, FirstNumber),
    function("array_has", &[List, Txt], 2, Just(Boolean)),
    function("btrim", &[Txt, Txt], 1, Just(Text)),
    function("ceil", &[Num], 1, Just(Number)),
    function("char_length", &[Txt], 1, Just(Integer)),
    variadic("coalesce", &[Same], 1, SameType),
    variadic("concat", &[Any], 1, Just(Text)),
    variadic("concat_ws", &[Txt, Any], 2, Just(Text)),
    function("contains", &[Txt, Txt], 2, Just(Boolean)),
    function("date_part", &[Txt, Time], 2, Just(Integer)),
    function("date_trunc", &[Txt, Time], 2, Just(Timestamp)),
    function("days_between", &[Time, Time], 2, Just(Integer)),
    function("days_until_anniversary", &[Time], 1, Just(Integer)),
    function("ends_with", &[Txt, Txt], 2, Just(Boolean)),
    function("exp", &[Num], 1, Just(Number)),
    function("floor", &[Num], 1, Just(Number)),
    variadic("greatest", &[Same], 1, SameType),
    function("initcap", &[Txt], 1, Just(Text)),
    variadic("least", &[Same], 1, SameType),
    function("left", &[Txt, Int], 2, Just(Text)),
    function("length", &[Txt], 1, Just(Integer)),
    function("ln", &[Num], 1, Just(Number)),
    function("local_date", &[Time], 1, Just(Date)),
    function("log10", &[Num], 1, Just(Number)),
    function("lower", &[Txt], 1, Just(Text)),
    function("lpad", &[Txt, Int, Txt], 2, Just(Text)),
    function("ltrim", &[Txt, Txt], 1, Just(Text)),
    function("make_date", &[Int, Int, Int], 3, Just(Date)),
    function("nullif", &[Same, Same], 2, SameType),
    function("power", &[Num, Num], 2, Just(Number)),
    function("regexp_like", &[Txt, Txt], 2, Just(Boolean)),
    function("regexp_replace", &[Txt, Txt, Txt, Txt], 3, Just(Text)),
    function("replace", &[Txt, Txt, Txt], 3, Just(Text)),
    function("reverse", &[Txt], 1, Just(Text)),
    function("right", &[Txt, Int], 2, Just(Text)),
    function("round", &[Num, Int], 1, Just(Number)),
    function("rpad", &[Txt, Int, Txt], 2, Just(Text)),
    function("rtrim", &[Txt, Txt], 1, Just(Text)),
    function("sign", &[Num], 1, Just(Number)),
    function("signum", &[Num], 1, Just(Number)),
    function("split_part", &[Txt, Txt, Int], 3, Just(Text)),
    function("sqrt", &[Num], 1, Just(Number)),
    function("starts_with", &[Txt, Txt], 2, Just(Boolean)),
    function("strpos", &[Txt, Txt], 2, Just(Integer)),
    function("substr", &[Txt, Int, Int], 2, Just(Text)),
    function("substring", &[Txt, Int, Int], 2, Just(Text)),
    function("translate", &[Txt, Txt, Txt], 3, Just(Text)),
    function("trim", &[Txt], 1, Just(Text)),
    function("trunc", &[Num, Int], 1, Just(Number)),
    function("upper", &[Txt], 1, Just(Text)),
    function("years_between", &[Time, Time], 2, Just(Integer)),
];

/// The signature of a function.
#[must_use]
pub(super) fn signature(name: &str) -> Option<&'static Signature> {
    FUNCTIONS.binary_search_by(|known| known.name.cmp(name)).ok().map(|index| &FUNCTIONS[index])
}

/// Functions that give another result at each call, or act on the world: named so that the refusal can say why.
pub(super) const REFUSED: &[&str] = &[
    "clock_timestamp",
    "copy",
    "currval",
    "gen_random_uuid",
    "nextval",
    "pg_sleep",
    "rand",
    "random",
    "read_csv",
    "read_json",
    "read_parquet",
    "setval",
    "timeofday",
    "txid_current",
    "uuid",
    "uuid_generate_v4",
];

#[cfg(test)]
mod tests {
    use super::FUNCTIONS;

    #[test]
    fn functions_are_sorted_for_the_search() {
        assert!(FUNCTIONS.windows(2).all(|pair| pair[0].name < pair[1].name));
    }
}
