//! Long chains of operators. They are no deeper to a reader, but each link is a level of the tree, and walking a tree of
//! ten thousand levels exhausts the thread's stack.

use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Location, Token, TokenWithSpan};

/// How many operators may be chained or nested: more than any person writes, less than exhausts a stack.
pub(super) const MAX_CHAIN: usize = 400;

/// The place at which an expression of these tokens becomes deeper than `MAX_CHAIN`: an upper bound, from the tokens alone.
pub(super) fn too_long(tokens: &[TokenWithSpan]) -> Option<Location> {
    // (depth at which the bracket began, deepest of its parts so far)
    let mut brackets: Vec<(usize, usize)> = Vec::new();
    let mut depth: usize = 0;
    for token in tokens {
        match &token.token {
            Token::LParen | Token::LBracket => brackets.push((depth, depth)),
            Token::RParen | Token::RBracket => depth = closed(&mut brackets, depth),
            Token::Comma | Token::SemiColon => depth = separated(&mut brackets, depth),
            Token::Word(word) => match word.keyword {
                Keyword::CASE => brackets.push((depth, depth)),
                Keyword::END => depth = closed(&mut brackets, depth),
                Keyword::WHEN | Keyword::THEN | Keyword::ELSE => depth = separated(&mut brackets, depth),
                Keyword::AND
                | Keyword::OR
                | Keyword::NOT
                | Keyword::IS
                | Keyword::IN
                | Keyword::LIKE
                | Keyword::ILIKE
                | Keyword::BETWEEN
                | Keyword::COLLATE
                | Keyword::AT
                | Keyword::UNION
                | Keyword::INTERSECT
                | Keyword::EXCEPT
                | Keyword::JOIN
                | Keyword::OVERLAPS
                | Keyword::OPERATOR
                | Keyword::SIMILAR => depth += 1,
                _ => {}
            },
            Token::Whitespace(_)
            | Token::Number(..)
            | Token::SingleQuotedString(_)
            | Token::EscapedStringLiteral(_)
            | Token::EOF => {}
            // Every other token may be an operator, before, between or behind.
            _ => depth += 1,
        }
        if depth > MAX_CHAIN {
            return Some(token.span.start);
        }
    }
    None
}

fn separated(brackets: &mut [(usize, usize)], depth: usize) -> usize {
    match brackets.last_mut() {
        Some((start, deepest)) => {
            *deepest = depth.max(*deepest);
            *start
        }
        None => 0,
    }
}

fn closed(brackets: &mut Vec<(usize, usize)>, depth: usize) -> usize {
    brackets.pop().map_or(depth, |(_, deepest)| deepest.max(depth))
}
