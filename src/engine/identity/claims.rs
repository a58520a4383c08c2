//! What limits look at: the *claims* of a node are its `never_across` values and its values of the types with
//! `per_customer`, as one ascending list of tokens. Nothing else about a node can make a union illegal.

use super::cluster::Reason;
use super::{Evidence, NONE};

/// One limit: how many distinct tokens of a range one cluster may claim. A `never_across` scope is a limit of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limit {
    /// First token of the range.
    from: u32,
    /// One past its last token.
    to: u32,
    /// How many a cluster may claim.
    pub(super) most: u32,
    /// What to say when it is passed.
    pub(super) reason: Reason,
}

/// The limits in the order in which they are checked (scopes, then types), and every node's claims.
/// Costs 4 bytes per node and 4 per claim; nothing where no limit is declared.
#[derive(Debug)]
pub(super) struct Claims {
    limits: Vec<Limit>,
    /// Where the node's claims start in `tokens`, with one more entry at the end; empty without limits.
    start: Vec<u32>,
    tokens: Vec<u32>,
}

impl Claims {
    /// Collects the claims in two passes over the evidence: count, then fill. Tokens number the scope values first,
    /// then the values.
    pub(super) fn new(evidence: &Evidence) -> Self {
        let mut limits = Vec::new();
        let mut first = 0_u32;
        for (scope, values) in evidence.scopes.iter().enumerate() {
            let size = values.iter().filter(|&&value| value != NONE).max().map_or(0, |&most| most + 1);
            limits.push(Limit { from: first, to: first + size, most: 1, reason: Reason::NeverAcross(scope as u16) });
            first += size;
        }
        let values_from = first;
        for (index, kind) in evidence.types.iter().enumerate() {
            let Some(most) = kind.per_customer else { continue };
            let of_type = |bound: usize| evidence.type_of_value.partition_point(|&t| usize::from(t) < bound) as u32;
            let (from, to) = (values_from + of_type(index), values_from + of_type(index + 1));
            limits.push(Limit { from, to, most, reason: Reason::PerCustomer(index as u16) });
        }
        if limits.is_empty() {
            return Self { limits, start: Vec::new(), tokens: Vec::new() };
        }

        let limited = |value: u32| {
            let kind = evidence.type_of_value[value as usize];
            evidence.types[usize::from(kind)].per_customer.is_some()
        };
        // `start[node + 1]` counts first, then becomes where the next token of `node` goes, and ends as its end.
        let mut start = vec![0_u32; evidence.n_nodes as usize + 1];
        for values in &evidence.scopes {
            for (node, &value) in values.iter().enumerate() {
                start[node + 1] += u32::from(value != NONE);
            }
        }
        for &(value, node) in &evidence.occurrences {
            start[node as usize + 1] += u32::from(limited(value));
        }
        let mut total = 0_u32;
        for slot in &mut start[1..] {
            let count = std::mem::replace(slot, total);
            total += count;
        }
        let mut tokens = vec![0_u32; total as usize];
        let mut put = |node: usize, token: u32| {
            let slot = &mut start[node + 1];
            tokens[*slot as usize] = token;
            *slot += 1;
        };
        for (scope, values) in evidence.scopes.iter().enumerate() {
            for (node, &value) in values.iter().enumerate().filter(|(_, value)| **value != NONE) {
                put(node, limits[scope].from + value);
            }
        }
        for &(value, node) in evidence.occurrences.iter().filter(|(value, _)| limited(*value)) {
            put(node as usize, values_from + value);
        }
        Self { limits, start, tokens }
    }

    /// The node's claims, ascending.
    pub(super) fn of(&self, node: u32) -> &[u32] {
        let node = node as usize;
        match (self.start.get(node), self.start.get(node + 1)) {
            (Some(&from), Some(&to)) => &self.tokens[from as usize..to as usize],
            _ => &[],
        }
    }

    /// The limits, in the order of their tokens.
    pub(super) fn limits(&self) -> &[Limit] {
        &self.limits
    }

    /// Splits claims by limit: (index of the limit, its tokens), for the limits that have any.
    pub(super) fn by_limit<'a>(&'a self, claims: &'a [u32]) -> impl Iterator<Item = (usize, &'a [u32])> {
        let mut rest = claims;
        std::iter::from_fn(move || {
            let token = *rest.first()?;
            let limit = self.limits.partition_point(|limit| limit.to <= token);
            let (run, tail) = rest.split_at(rest.partition_point(|&token| token < self.limits[limit].to));
            rest = tail;
            Some((limit, run))
        })
    }

    /// The first limit that the union of two clusters with these claims would pass.
    ///
    /// A union passes a limit when it claims more tokens than `most` *and* more than the larger side claims already:
    /// one record may carry six addresses where five are allowed, and what brings it nothing new is never refused for
    /// that. Costs s·log l for s claims on the smaller and l on the larger side.
    pub(super) fn refusal(&self, left: &[u32], right: &[u32]) -> Option<usize> {
        let (small, large) = if left.len() <= right.len() { (left, right) } else { (right, left) };
        self.by_limit(small).find_map(|(index, few)| {
            let limit = &self.limits[index];
            let from = large.partition_point(|&token| token < limit.from);
            let many = &large[from..];
            let many = &many[..many.partition_point(|&token| token < limit.to)];
            let new = few.iter().filter(|token| many.binary_search(token).is_err()).count();
            let most = few.len().max(many.len()).max(limit.most as usize);
            (many.len() + new > most).then_some(index)
        })
    }
}

/// Does `claims` hold everything that `other` holds?
pub(super) fn covers(claims: &[u32], other: &[u32]) -> bool {
    other.len() <= claims.len() && other.iter().all(|token| claims.binary_search(token).is_ok())
}

/// The union of two ascending lists.
pub(super) fn union(left: &[u32], right: &[u32]) -> Box<[u32]> {
    let mut all = Vec::with_capacity(left.len() + right.len());
    all.extend_from_slice(left);
    all.extend_from_slice(right);
    all.sort_unstable();
    all.dedup();
    all.into_boxed_slice()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::identity::IdentifierType;

    fn evidence() -> Evidence {
        let kind = |name: &str, per_customer| IdentifierType { name: name.into(), per_customer };
        Evidence {
            n_nodes: 3,
            types: vec![kind("account", Some(1)), kind("cookie", None), kind("email", Some(2))],
            type_of_value: vec![0, 0, 1, 2, 2, 2],
            occurrences: vec![(0, 0), (1, 1), (2, 0), (3, 0), (4, 1), (5, 1), (5, 2)],
            scopes: vec![vec![1, NONE, 0]],
        }
    }

    #[test]
    fn claims_are_scopes_then_limited_values() {
        let claims = Claims::new(&evidence());
        assert_eq!(claims.of(0), &[1, 2, 5]);
        assert_eq!(claims.of(1), &[3, 6, 7]);
        assert_eq!(claims.of(2), &[0, 7]);
        let runs: Vec<_> = claims.by_limit(claims.of(0)).map(|(limit, run)| (limit, run.to_vec())).collect();
        assert_eq!(runs, vec![(0, vec![1]), (1, vec![2]), (2, vec![5])]);
    }

    #[test]
    fn nothing_is_kept_without_limits() {
        let claims =
            Claims::new(&Evidence { types: Vec::new(), occurrences: Vec::new(), scopes: Vec::new(), ..evidence() });
        assert!(claims.of(0).is_empty() && claims.start.is_empty());
    }

    #[test]
    fn the_first_limit_that_is_passed_is_told() {
        let claims = Claims::new(&evidence());
        let reason =
            |left: &[u32], right: &[u32]| claims.refusal(left, right).map(|limit| claims.limits()[limit].reason);
        assert_eq!(reason(claims.of(0), claims.of(1)), Some(Reason::PerCustomer(0)));
        assert_eq!(reason(claims.of(0), claims.of(2)), Some(Reason::NeverAcross(0)));
        assert_eq!(reason(claims.of(1), claims.of(2)), None);
        assert_eq!(reason(&[5, 6], &[7]), Some(Reason::PerCustomer(2)));
        assert_eq!(reason(&[5, 6, 7], &[6]), None, "more than allowed already, and nothing new");
    }

    #[test]
    fn unions_and_covers() {
        assert_eq!(&*union(&[1, 4], &[2, 4]), &[1, 2, 4]);
        assert!(covers(&[1, 2, 3], &[1, 3]) && !covers(&[1, 2], &[1, 3]) && covers(&[1], &[]));
    }
}
