//! What became of one row.

/// What became of one row. Codes and messages never hold a person's data: they are kept for good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The destination confirmed it.
    Accepted {
        /// Its id for the row, where it tells one.
        destination_id: Option<String>,
    },
    /// The destination already had these values, or there was nothing to change (`update` of a row that is not there, removal of one
    /// that is gone). Nothing there became ours.
    Unchanged,
    /// The row itself is at fault and must change before it is sent again.
    Rejected {
        /// The destination's code, or ours.
        code: String,
        /// Why.
        message: String,
    },
    /// Certainly not done, worth another attempt.
    Retry {
        /// The destination's code, or ours.
        code: String,
        /// Why.
        message: String,
    },
    /// Certainly not done, and not for its own sake: the sync stopped before.
    NotSent,
    /// Nobody knows whether it was done.
    Unknown {
        /// The destination's code, or ours.
        code: String,
        /// Why.
        message: String,
    },
}

impl Outcome {
    /// The row was taken.
    pub(super) fn accepted() -> Self {
        Self::Accepted { destination_id: None }
    }

    pub(super) fn rejected(code: impl Into<String>, message: impl AsRef<str>) -> Self {
        Self::Rejected { code: code.into(), message: scrubbed(message.as_ref()) }
    }

    pub(super) fn retry(code: impl Into<String>, message: impl AsRef<str>) -> Self {
        Self::Retry { code: code.into(), message: scrubbed(message.as_ref()) }
    }

    pub(super) fn unknown(code: impl Into<String>, message: impl AsRef<str>) -> Self {
        Self::Unknown { code: code.into(), message: scrubbed(message.as_ref()) }
    }
}

/// A vendor's words without what may be somebody's: addresses, and long runs of digits. At most 200 characters.
pub(super) fn scrubbed(text: &str) -> String {
    let mut out = String::new();
    for (index, word) in text.split_whitespace().enumerate() {
        if index > 0 {
            out.push(' ');
        }
        let digits = word.bytes().filter(u8::is_ascii_digit).count();
        if word.contains('@') || word.contains("%40") {
            out.push_str("***");
        } else if digits >= 6 {
            out.extend(word.chars().map(|letter| if letter.is_ascii_digit() { '*' } else { letter }));
        } else {
            out.push_str(word);
        }
    }
    match out.char_indices().nth(200) {
        Some((end, _)) => format!("{}…", &out[..end]),
        None => out,
    }
}

#[cfg(test)]
mod tests {
    use super::scrubbed;

    #[test]
    fn a_vendors_words_lose_what_is_somebodys() {
        assert_eq!(scrubbed("jane@x.fr is already a list member"), "*** is already a list member");
        assert_eq!(scrubbed("Number +33612345678, code 42"), "Number +***********, code 42");
        assert_eq!(scrubbed(&"é".repeat(300)).chars().count(), 201);
    }
}
