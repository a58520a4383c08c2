//! Order among models that refer to one another; a cycle is a finding that shows its path.

use std::collections::BTreeMap;

use indexmap::IndexMap;

/// Cycles beyond are not told: those before are enough to begin with.
const MOST_CYCLES: usize = 100;

/// Sorts names so that each comes after those that it needs; otherwise in the order as given. `Err` has cycles: names, of
/// which each needs the next and the last needs the first. Circles that share a name may be told as one.
pub(super) fn sort(needs: &IndexMap<String, Vec<String>>) -> Result<Vec<String>, Vec<Vec<String>>> {
    let mut done: BTreeMap<&str, bool> = BTreeMap::new();
    let mut sorted = Vec::with_capacity(needs.len());
    let mut cycles = Vec::new();
    for start in needs.keys() {
        // A stack of our own: long chains must not exhaust the thread's.
        let mut path: Vec<(&str, usize)> = vec![(start, 0)];
        while let Some((name, next)) = path.pop() {
            if next == 0 {
                match done.get(name) {
                    Some(true) => continue,
                    Some(false) => {
                        let from = path.iter().position(|(other, _)| *other == name).unwrap_or(0);
                        if cycles.len() < MOST_CYCLES {
                            cycles.push(path[from..].iter().map(|(name, _)| (*name).to_owned()).collect());
                        }
                        continue;
                    }
                    None => {
                        done.insert(name, false);
                    }
                }
            }
            let children = &needs[name];
            match children[next..].iter().position(|child| needs.contains_key(child)) {
                Some(offset) => {
                    path.push((name, next + offset + 1));
                    path.push((&children[next + offset], 0));
                }
                None => {
                    done.insert(name, true);
                    sorted.push(name.to_owned());
                }
            }
        }
    }
    if cycles.is_empty() { Ok(sorted) } else { Err(cycles) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(edges: &[(&str, &[&str])]) -> IndexMap<String, Vec<String>> {
        edges
            .iter()
            .map(|(name, needs)| ((*name).to_owned(), needs.iter().map(|need| (*need).to_owned()).collect()))
            .collect()
    }

    #[test]
    fn what_is_needed_comes_first() {
        let sorted = sort(&graph(&[("a", &["b", "c"]), ("b", &["c"]), ("c", &[]), ("d", &["elsewhere"])])).unwrap();
        assert_eq!(sorted, ["c", "b", "a", "d"]);
    }

    #[test]
    fn cycles_are_shown() {
        assert_eq!(sort(&graph(&[("x", &["a"]), ("a", &["b"]), ("b", &["a"])])).unwrap_err(), [["a", "b"]]);
        assert_eq!(sort(&graph(&[("a", &["a"]), ("b", &["a", "b"])])).unwrap_err(), [["a"], ["b"]]);
    }

    #[test]
    fn long_chains_are_sorted() {
        let names: Vec<String> = (0..100_000).map(|index| format!("n{index}")).collect();
        let chain = names
            .iter()
            .enumerate()
            .map(|(index, name)| (name.clone(), names.get(index + 1).cloned().into_iter().collect()));
        assert_eq!(sort(&chain.collect()).unwrap().len(), 100_000);
    }
}
