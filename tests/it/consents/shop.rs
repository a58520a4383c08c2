//! A small shop whose customers say what they may be sent, and what the executable sends them.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;

use crate::library::Folder;

const WAREHOUSE: &str = "
name: shop
warehouse: {root: ./warehouse}
timezone: Europe/Paris
connections:
  drop: {connector: files, path: ./outbox, deliver: true}
";

pub(super) const CRM: &str = "
sources:
  crm: {path: crm.csv, format: csv, key: id, columns: {email: {type: email}, phone: {type: phone, region: FR, from: tel}, city: {type: text}}}
  prefs: {path: prefs.csv, format: csv, key: id, columns: {email: {type: email}, brand: {type: text}}}
entities:
  customer:
    identity:
      identifiers: {id: {}, email: {type: email}, phone: {type: phone}}
      sources: {crm: {role: record, ids: {id: id, email: email, phone: phone}}}
    attributes: {email: {from: crm.email}, phone: {from: crm.phone}, city: {from: crm.city}, brand: {from: crm.brand}}
segments:
  here: {when: \"city = 'Lyon'\"}
";

pub(super) const PREFS: &str = "
consents:
  prefs: {source: prefs, contact: email, purpose: {value: news}, channel: {value: email}, status: state, at: at}
";

pub(super) const LETTER: &str = "
syncs:
  letter:
    from: {segment: here}
    to: {connection: drop}
    mode: mirror
    on_remove: delete
    on_withdraw: delete
    key: email
    fields: {email: email, city: city}
    consent: {purpose: news}
";

pub(super) struct Shop {
    pub(super) folder: Folder,
    pub(super) seen: BTreeSet<PathBuf>,
}

impl Shop {
    pub(super) fn new(models: &[&str]) -> Self {
        let folder = Folder::new();
        folder.write("warehouse.yaml", WAREHOUSE);
        for (index, text) in models.iter().enumerate() {
            folder.write(&format!("models/{index}.yaml"), text);
        }
        Self { folder, seen: BTreeSet::new() }
    }

    /// `id,email,tel,city,brand`.
    pub(super) fn crm(&self, rows: &[&str]) -> &Self {
        self.folder.write("crm.csv", &format!("id,email,tel,city,brand\n{}\n", rows.join("\n")));
        self
    }

    /// `email,brand,state,at`, numbered.
    pub(super) fn prefs(&self, rows: &[&str]) -> &Self {
        let rows: Vec<String> = rows.iter().enumerate().map(|(id, row)| format!("{id},{row}")).collect();
        self.folder.write("prefs.csv", &format!("id,email,brand,state,at\n{}\n", rows.join("\n")));
        self
    }

    pub(super) fn cohorte(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cohorte"));
        let output = command.arg("--project").arg(self.folder.path()).args(arguments).output().unwrap();
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        (output.status.code(), said)
    }

    /// Runs a verb, which succeeds, and tells what went to the outbox: `added a@x.fr`, sorted.
    #[track_caller]
    pub(super) fn sends(&mut self, arguments: &[&str]) -> Vec<String> {
        let (code, said) = self.cohorte(arguments);
        assert_eq!(code, Some(0), "{said}");
        self.sent()
    }

    pub(super) fn sent(&mut self) -> Vec<String> {
        let mut sent = Vec::new();
        for folder in std::fs::read_dir(self.folder.path().join("outbox")).into_iter().flatten() {
            for entry in std::fs::read_dir(folder.unwrap().path()).unwrap() {
                let path = entry.unwrap().path();
                if !self.seen.insert(path.clone()) {
                    continue;
                }
                let operation = path.file_name().unwrap().to_str().unwrap().split('.').nth(1).unwrap().to_owned();
                for line in std::fs::read_to_string(&path).unwrap().lines() {
                    let row: serde_json::Value = serde_json::from_str(line).unwrap();
                    let key = row.get("email").or_else(|| row.get("mail")).unwrap().as_str().unwrap();
                    sent.push(format!("{operation} {key}"));
                }
            }
        }
        sent.sort();
        sent
    }
}

pub(super) fn purpose(more: &str) -> String {
    format!("purposes:\n  news: {{channels: [email]{more}}}\n")
}

pub(super) const NOBODY: [&str; 0] = [];
