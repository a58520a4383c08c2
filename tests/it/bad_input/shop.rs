//! A small shop in a temporary folder that each test spoils in its own way, and what the executable says of it.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

const WAREHOUSE: &str = "\
name: shop
warehouse: {root: ./warehouse}
timezone: Europe/Paris
connections:
  drop: {connector: files, path: ./outbox, deliver: true}
";

const MODELS: &str = r#"
sources:
  contacts:
    path: data/contacts.csv
    format: csv
    key: contact_id
    updated_at: updated_at
    columns:
      email: {type: email}
      first_name: {type: given_name}
  orders:
    path: data/orders.csv
    format: csv
    key: order_id
    time: ordered_at
    columns:
      email: {type: email}
entities:
  customer:
    identity:
      identifiers: {contact_id: {}, email: {type: email}}
      sources:
        contacts: {role: record, ids: {contact_id: contact_id, email: email}}
        orders: {role: link, ids: {email: email}}
    attributes:
      email: {from: [contacts.email]}
      first_name: {from: [contacts.first_name]}
      country: {from: [contacts.country]}
traits:
  order_count: {count: orders}
  revenue: {sum: orders.amount}
segments:
  buyers: {when: {did: orders}}
  french: {when: "country = 'FR'"}
purposes:
  newsletter: {channels: [email]}
consents:
  sign_up:
    source: contacts
    contact: email
    purpose: {value: newsletter}
    channel: {value: email}
    status: "case when newsletter = 'yes' then 'granted' else 'withdrawn' end"
    at: updated_at
syncs:
  buyers_out:
    from: {segment: buyers}
    to: {connection: drop, object: buyers}
    mode: mirror
    on_remove: delete
    on_withdraw: delete
    key: [{email: email}]
    fields: {first_name: first_name, orders: order_count}
    consent: {purpose: newsletter, channel: email}
"#;

const CONTACTS: &str = "\
contact_id,email,first_name,country,newsletter,updated_at
C1,aurelia.quux@mailbox.test,Aurelia,FR,yes,2025-01-08T09:12:00Z
C2,balthazar.quux@mailbox.test,Balthazar,FR,yes,2025-01-11T17:40:00Z
C3,celestine.quux@mailbox.test,Celestine,ES,no,2025-01-15T08:05:00Z
C4,dagobert.quux@mailbox.test,Dagobert,FR,yes,2025-01-19T20:31:00Z
";

const ORDERS: &str = "\
order_id,email,amount,ordered_at
1,aurelia.quux@mailbox.test,59.90,2025-01-10T10:02:00Z
2,balthazar.quux@mailbox.test,24.00,2025-01-14T18:15:00Z
3,celestine.quux@mailbox.test,120.50,2025-01-30T09:41:00Z
";

/// What no output may hold: parts of the values above, and of those that tests add.
const PERSONAL: [&str; 6] = ["quux", "urelia", "althazar", "elestine", "agobert", "ygmalion"];

/// A project in a folder of its own.
pub(super) struct Shop {
    folder: TempDir,
}

impl Shop {
    /// A shop that is in order.
    pub(super) fn new() -> Self {
        let shop = Self { folder: tempfile::tempdir().unwrap() };
        shop.write("warehouse.yaml", WAREHOUSE)
            .write("models/shop.yaml", MODELS)
            .write("data/contacts.csv", CONTACTS)
            .write("data/orders.csv", ORDERS)
    }

    pub(super) fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    /// Writes a file.
    pub(super) fn write(self, path: &str, contents: impl AsRef<[u8]>) -> Self {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, contents).unwrap();
        self
    }

    /// Replaces a text, which must be there, in a file.
    #[track_caller]
    pub(super) fn change(self, path: &str, from: &str, to: &str) -> Self {
        let text = fs::read_to_string(self.path(path)).unwrap();
        assert!(text.contains(from), "{path} has no {from:?}");
        self.write(path, text.replacen(from, to, 1))
    }

    /// Replaces a text in the models.
    #[track_caller]
    pub(super) fn models(self, from: &str, to: &str) -> Self {
        self.change("models/shop.yaml", from, to)
    }

    /// Adds a file of models.
    pub(super) fn add(self, text: &str) -> Self {
        self.write("models/more.yaml", text)
    }

    /// Adds rows to a file of data.
    pub(super) fn append(self, path: &str, rows: &str) -> Self {
        let text = fs::read_to_string(self.path(path)).unwrap();
        self.write(path, text + rows)
    }

    pub(super) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cohorte"));
        command.args(arguments).current_dir(self.folder.path());
        for name in ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "COLUMNS", "RUST_BACKTRACE", "SHOP_DATABASE"] {
            command.env_remove(name);
        }
        command
    }

    /// Runs the executable to its end.
    pub(super) fn run(&self, arguments: &[&str]) -> Said {
        end(self.start(arguments))
    }

    /// Starts the executable.
    pub(super) fn start(&self, arguments: &[&str]) -> Child {
        self.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }
}

/// Waits for the end.
pub(super) fn end(child: Child) -> Said {
    let output = child.wait_with_output().unwrap();
    let said = Said {
        code: output.status.code(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    };
    for text in [&said.out, &said.err] {
        assert!(!text.contains("panicked") && !text.contains("RUST_BACKTRACE"), "a panic:\n{said}");
        for value in PERSONAL {
            assert!(!text.contains(value), "`{value}` is somebody's:\n{said}");
        }
        assert!(
            text.chars().all(|character| !character.is_control() || character == '\n'),
            "control characters: {text:?}"
        );
    }
    said
}

/// What the executable said, and how it ended.
pub(super) struct Said {
    pub(super) code: Option<i32>,
    pub(super) out: String,
    pub(super) err: String,
}

impl std::fmt::Display for Said {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { code, out, err } = self;
        write!(formatter, "exit code: {code:?}\n----- stdout -----\n{out}\n----- stderr -----\n{err}")
    }
}

impl Said {
    /// It ended with this code and used these words.
    #[track_caller]
    pub(super) fn ends_with(&self, code: i32, words: &[&str]) -> &Self {
        assert_eq!(self.code, Some(code), "{self}");
        for word in words {
            assert!(self.out.contains(word) || self.err.contains(word), "`{word}` is not said:\n{self}");
        }
        self
    }

    /// This part of a line of the user's file is underlined.
    #[track_caller]
    pub(super) fn underlines(&self, part: &str) -> &Self {
        let lines: Vec<&str> = self.err.lines().collect();
        let mark = "^".repeat(part.chars().count());
        let found = lines.windows(2).any(|pair| {
            pair[1].find('^').is_some_and(|byte| {
                let column = pair[1][..byte].chars().count();
                let marks = pair[1].chars().skip(column).take_while(|character| *character == '^').collect::<String>();
                marks == mark && pair[0].chars().skip(column).collect::<String>().starts_with(part)
            })
        });
        assert!(found, "`{part}` is not underlined:\n{self}");
        self
    }
}
