//! Findings about the user's YAML, SQL and data: all are collected and reported in one go.

use crate::text::Span;

/// A stable error code such as `E101`. Its page is `src/diag/codes/E101.md`, printed by `cohorte explain E101`.
pub type Code = &'static str;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The project cannot be compiled or its data cannot be used.
    Error,
    /// Probably not what was meant; nothing is stopped.
    Warning,
}

/// A second place that helps to understand a finding, such as the first of two definitions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// Where.
    pub span: Span,
    /// What is there.
    pub text: String,
}

/// One thing that is wrong. The message stands alone: if only one thing can be shown, it is this.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// Stable code.
    pub code: Code,
    /// One sentence without a full stop; values are in backticks.
    pub message: String,
    /// The text that is at fault; absent where no text is (a missing file, say).
    pub span: Option<Span>,
    /// What is written beside the underlined span.
    pub label: String,
    /// Other places.
    pub others: Vec<Label>,
    /// What to do about it.
    pub help: Option<String>,
}

impl Finding {
    /// An error.
    pub fn error(code: Code, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            code,
            message: message.into(),
            span: None,
            label: String::new(),
            others: Vec::new(),
            help: None,
        }
    }

    /// A warning.
    pub fn warning(code: Code, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, message) }
    }

    /// Underlines `span`.
    #[must_use]
    pub fn at(mut self, span: Span) -> Self {
        self.span = Some(span);
        self
    }

    /// Writes `label` beside the underlined span.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    /// Shows a second place.
    #[must_use]
    pub fn also(mut self, span: Span, text: impl Into<String>) -> Self {
        self.others.push(Label { span, text: text.into() });
        self
    }

    /// Says what to do.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// The findings so far. Every pass takes this and goes on.
#[derive(Debug, Clone, Default)]
pub struct Findings {
    list: Vec<Finding>,
}

impl Findings {
    /// Adds one.
    pub fn add(&mut self, finding: Finding) {
        self.list.push(finding);
    }

    /// Is there an error among them?
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.list.iter().any(|finding| finding.severity == Severity::Error)
    }

    /// In the order of their places, each once.
    #[must_use]
    pub fn sorted(mut self) -> Vec<Finding> {
        self.list
            .sort_by(|a, b| (a.span, a.severity, a.code, &a.message).cmp(&(b.span, b.severity, b.code, &b.message)));
        self.list.dedup();
        self.list
    }

    /// All, in the order in which they were found.
    pub fn iter(&self) -> impl Iterator<Item = &Finding> {
        self.list.iter()
    }

    /// Takes over those of another pass.
    pub fn extend(&mut self, other: Self) {
        self.list.extend(other.list);
    }
}
