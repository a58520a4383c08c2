//! What has become of a table's files since a version, from its log: which hold rows that were there, which hold new ones. Files that
//! were put together, or cut otherwise, hold the rows that they held.

use std::collections::BTreeSet;

use deltalake::kernel::Action;
use deltalake::logstore::get_actions;

use super::failures::reading;
use super::table::StoredTable;
use crate::diag::Result;

/// What the log says of the time since a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Since {
    /// Rows have come, at most: these files hold those that have, and no others.
    Grown(BTreeSet<String>),
    /// Rows that were there have gone or were changed, or cannot be told from new ones.
    Changed,
    /// It does not go back that far.
    Forgotten,
}

impl StoredTable {
    /// Follows the log from a version on.
    pub async fn since(&self, version: u64) -> Result<Since> {
        let mut new = BTreeSet::new();
        let log = self.delta().log_store();
        for version in version + 1..=self.version() {
            let entry = log.read_commit_entry(version).await.map_err(|error| reading(self.path(), &error))?;
            let Some(entry) = entry else { return Ok(Since::Forgotten) };
            let actions = get_actions(version, &entry).map_err(|error| reading(self.path(), &error))?;
            if !follow(&mut new, &actions) {
                return Ok(Since::Changed);
            }
        }
        Ok(if version > self.version() { Since::Changed } else { Since::Grown(new) })
    }
}

/// Goes on by a commit; says whether rows that were there are still there, in files of their own.
fn follow(new: &mut BTreeSet<String>, actions: &[Action]) -> bool {
    let (mut taken, mut given) = (Vec::new(), Vec::new());
    for action in actions {
        match action {
            Action::Remove(remove) if remove.data_change => return false,
            Action::Remove(remove) => taken.push(&remove.path),
            Action::Add(add) if add.data_change => drop(new.insert(add.path.clone())),
            Action::Add(add) => given.push(&add.path),
            _ => {}
        }
    }
    let of_new = taken.iter().filter(|file| new.contains(**file)).count();
    if of_new > 0 {
        new.retain(|file| !taken.contains(&file));
        new.extend(given.into_iter().cloned());
    }
    of_new == 0 || of_new == taken.len()
}

#[cfg(test)]
mod tests {
    use datafusion::prelude::SessionContext;

    use super::*;
    use crate::store::Commit;
    use crate::store::testing::{lake, people, read, rows};

    #[tokio::test(flavor = "multi_thread")]
    async fn files_that_are_put_together_hold_what_they_held() {
        let (folder, lake) = lake();
        let (spec, session, commit) = (people(), SessionContext::new(), Commit::default());
        let append = async |n: i64| {
            lake.append(&spec, rows(&[("FR", &format!("{n}@x.fr"), n)]), &commit, &session).await.unwrap();
        };
        let table = async || lake.table("people", None).await.unwrap().unwrap();
        let names = |table: &StoredTable| -> BTreeSet<String> {
            table.data_files().unwrap().1.into_iter().map(|file| file.name).collect()
        };
        for n in 0..70 {
            append(n).await;
        }
        let (version, files) = (table().await.version(), names(&table().await));
        append(70).await;
        let Since::Grown(new) = table().await.since(version).await.unwrap() else { panic!() };
        assert_eq!(new, names(&table().await).difference(&files).cloned().collect());
        assert_eq!(new.len(), 1);

        // Old files with new ones: no file holds new rows alone.
        lake.compact(&spec, &commit, &session).await.unwrap().unwrap();
        assert_eq!(table().await.since(version).await.unwrap(), Since::Changed);

        // Old ones alone, then a new one.
        let version = table().await.version() - 1;
        append(71).await;
        let Since::Grown(new) = table().await.since(version).await.unwrap() else { panic!() };
        assert_eq!((new.len(), names(&table().await).len()), (1, 2));
        assert_eq!(read(&lake, "people", None).await.len(), 72);

        // Rows that are gone; a log that is; a table that is another one.
        lake.overwrite(&spec, rows(&[("FR", "a@x.fr", 1)]), &commit, &session).await.unwrap();
        let last = table().await;
        assert_eq!(last.since(version).await.unwrap(), Since::Changed);
        std::fs::remove_file(folder.path().join(format!("lake/cdp/people/_delta_log/{:020}.json", version + 1)))
            .unwrap();
        assert_eq!(last.since(version).await.unwrap(), Since::Forgotten);
        assert_eq!(last.since(10_000).await.unwrap(), Since::Changed);
    }

    #[test]
    fn files_are_new_as_long_as_all_of_their_rows_are() {
        let add = |path: &str, data_change| {
            Action::Add(deltalake::kernel::Add { path: path.into(), data_change, ..Default::default() })
        };
        let remove = |path: &str, data_change| {
            Action::Remove(deltalake::kernel::Remove { path: path.into(), data_change, ..Default::default() })
        };
        let mut new = BTreeSet::new();
        assert!(follow(&mut new, &[add("c", true)]));
        assert!(follow(&mut new, &[remove("a", false), remove("b", false), add("ab", false)]));
        assert!(follow(&mut new, &[remove("c", false), add("c1", false), add("c2", false)]));
        assert_eq!(new.iter().collect::<Vec<_>>(), ["c1", "c2"]);
        assert!(!follow(&mut new.clone(), &[remove("ab", false), remove("c1", false), add("abc", false)]));
        assert!(!follow(&mut new, &[remove("ab", true), add("d", true)]));
    }
}
