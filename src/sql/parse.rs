//! SQL inside YAML → a tree; errors are placed in the YAML.

use sqlparser::ast::{Expr, Spanned};
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Location, Token, Tokenizer};

use super::chain::{MAX_CHAIN, too_long};
use crate::diag::Finding;
use crate::text::{Files, Located, Span, part_of_scalar};

static DIALECT: PostgreSqlDialect = PostgreSqlDialect {};

/// How deep expressions may nest: more than any person writes, less than exhausts a thread's stack.
const MAX_DEPTH: usize = 48;

/// SQL text at its place, able to place what is inside it.
#[derive(Debug, Clone, Copy)]
pub struct SqlText<'a> {
    files: &'a Files,
    text: &'a str,
    span: Span,
}

impl<'a> SqlText<'a> {
    /// SQL that was written at `span`.
    #[must_use]
    pub fn new(files: &'a Files, text: &'a Located<String>) -> Self {
        Self { files, text: &text.value, span: text.span }
    }

    /// The SQL itself.
    #[must_use]
    pub fn text(&self) -> &'a str {
        self.text
    }

    /// The place of the whole.
    #[must_use]
    pub fn whole(&self) -> Span {
        self.span
    }

    /// The place in the file of a part of the tree.
    #[must_use]
    pub fn place(&self, part: &impl Spanned) -> Span {
        let span = part.span();
        if span.start.line == 0 {
            return self.span;
        }
        self.between(self.byte(span.start), self.byte(span.end))
    }

    fn at(&self, location: Location) -> Span {
        let start = self.byte(location);
        let length = self.text[start..].chars().next().map_or(0, char::len_utf8);
        self.between(start, start + length)
    }

    fn between(&self, start: usize, end: usize) -> Span {
        part_of_scalar(&self.files.get(self.span.file).text, self.span, self.text, start..end)
    }

    /// sqlparser counts lines and columns from 1, columns in characters.
    fn byte(&self, location: Location) -> usize {
        let mut start = 0;
        for _ in 1..location.line {
            match self.text[start..].find('\n') {
                Some(newline) => start += newline + 1,
                None => return self.text.len(),
            }
        }
        let column = location.column.saturating_sub(1) as usize;
        self.text[start..].char_indices().nth(column).map_or(self.text.len(), |(at, _)| start + at)
    }
}

/// Parses one expression.
pub fn parse_expression(sql: SqlText<'_>) -> Result<Expr, Finding> {
    let mut parser = parser(sql)?;
    let parsed = parser.parse_expr().and_then(|expr| {
        let next = parser.peek_token();
        match next.token {
            Token::EOF => Ok(expr),
            token => {
                let at = next.span.start;
                Err(ParserError::ParserError(format!(
                    "`{token}` was not expected here at Line: {}, Column: {}",
                    at.line, at.column
                )))
            }
        }
    });
    parsed.map_err(|error| {
        syntax_error(sql, &error)
            .help("conditions and values are single SQL expressions, as in a WHERE clause; text is in single quotes")
    })
}

/// A parser of text that is neither nested nor chained too deep.
pub(super) fn parser(sql: SqlText<'_>) -> Result<Parser<'static>, Finding> {
    let tokens = Tokenizer::new(&DIALECT, sql.text).tokenize_with_location().map_err(|error| {
        syntax_error(sql, &ParserError::from(error))
            .help("text is in single quotes, a name with other signs than letters in double ones")
    })?;
    if let Some(location) = too_long(&tokens) {
        return Err(Finding::error("E201", format!("this chain of more than {MAX_CHAIN} operators is too long"))
            .at(sql.at(location))
            .help("many values are a list: `country in ('FR', 'BE', 'CH')`"));
    }
    Ok(Parser::new(&DIALECT).with_recursion_limit(MAX_DEPTH).with_tokens_with_locations(tokens))
}

/// A syntax error, underlined where it is.
pub(super) fn syntax_error(sql: SqlText<'_>, error: &ParserError) -> Finding {
    let message = match error {
        ParserError::TokenizerError(message) | ParserError::ParserError(message) => message.as_str(),
        ParserError::RecursionLimitExceeded => "it is nested too deep",
    };
    let (message, location) = split_location(message);
    let span = location.map_or(sql.span, |location| sql.at(location));
    Finding::error("E201", format!("this is not valid SQL: {message}")).at(span)
}

/// sqlparser writes the place at the end of its messages.
fn split_location(message: &str) -> (&str, Option<Location>) {
    let Some((before, place)) = message.rsplit_once(" at Line: ") else { return (message, None) };
    let mut numbers = place.split(", Column: ").map(str::trim).map(str::parse::<u64>);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(line)), Some(Ok(column))) => (before, Some(Location { line, column })),
        _ => (before, None),
    }
}
