//! A small data set with everything that goes wrong in large ones: nulls, ties in time, days on which clocks change,
//! amounts below zero, rows from the future and rows without a time, customers without rows, shared devices.

use std::fmt::Write;

use crate::library::Folder;

/// A seeded sequence of numbers.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `n`.
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % n
    }

    pub(crate) fn one<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len() as u64) as usize]
    }

    pub(crate) fn shuffle<T>(&mut self, rows: &mut [T]) {
        for index in (1..rows.len()).rev() {
            rows.swap(index, self.below(index as u64 + 1) as usize);
        }
    }
}

/// A source: its folder, the header of its files, its rows.
pub(crate) struct Rows {
    pub(crate) name: &'static str,
    pub(crate) header: &'static str,
    pub(crate) rows: Vec<String>,
}

impl Rows {
    /// Writes the rows in this order, over so many CSV files.
    pub(crate) fn write(&self, folder: &Folder, files: usize) {
        let size = self.rows.len().div_ceil(files).max(1);
        for file in 0..files {
            let mut text = format!("{}\n", self.header);
            for row in self.rows.iter().skip(file * size).take(size) {
                text.push_str(row);
                text.push('\n');
            }
            folder.write(&format!("data/{}/{file:02}.csv", self.name), &text);
        }
    }
}

/// Instants that many rows share: around both changes of clocks in Paris, the ends of months and years, leap days, and
/// the edges of windows as of [`AS_OF`].
const INSTANTS: [&str; 26] = [
    "2026-03-28T22:59:59.999999Z",
    "2026-03-28T23:00:00Z",
    "2026-03-29T00:59:59Z",
    "2026-03-29T01:00:00Z",
    "2026-03-29T21:59:59Z",
    "2026-03-29T22:00:00Z",
    "2026-03-29T23:30:00Z",
    "2026-03-30T04:00:00Z",
    "2026-10-24T21:59:59.999999Z",
    "2026-10-24T22:00:00Z",
    "2026-10-25T00:30:00Z",
    "2026-10-25T01:30:00Z",
    "2026-10-25T22:59:59Z",
    "2026-10-25T23:00:00Z",
    "2026-10-26T08:00:00Z",
    "2026-10-26T10:00:00Z",
    "2025-12-31T23:00:00Z",
    "2025-10-25T22:00:00Z",
    "2025-10-26T23:00:00Z",
    "2024-02-28T23:00:00Z",
    "2024-02-29T11:00:00Z",
    "2026-02-27T23:00:00Z",
    "1969-12-31T23:59:59.5Z",
    "2026-11-30T12:00:00Z",
    "2027-01-01T00:00:00Z",
    "2031-06-01T00:00:00Z",
];

/// Instants of runs, some of them in the hours that come twice or never.
pub(crate) const AS_OF: [&str; 6] = [
    "2026-10-26T10:00:00Z",
    "2026-03-29T01:00:00Z",
    "2026-10-25T01:30:00Z",
    "2026-03-30T04:00:00Z",
    "2024-02-29T12:00:00Z",
    "2027-03-31T22:30:00Z",
];

fn instant(dice: &mut Dice) -> String {
    match dice.below(20) {
        0 => String::new(),
        1..=14 => (*dice.one(&INSTANTS)).to_owned(),
        _ => format!(
            "2026-{:02}-{:02}T{:02}:{:02}:00Z",
            1 + dice.below(12),
            1 + dice.below(28),
            dice.below(24),
            dice.below(60)
        ),
    }
}

fn email(dice: &mut Dice, people: u64) -> String {
    let person = dice.below(people);
    match dice.below(12) {
        0 => String::new(),
        1 => format!(" P{person}@Mail.EXAMPLE.fr "),
        2 => "not an address".to_owned(),
        _ => format!("p{person}@mail.example.fr"),
    }
}

/// All sources, for so many people, with about 30 rows of events for each.
pub(crate) fn sources(seed: u64, people: u64) -> Vec<Rows> {
    let mut dice = Dice::new(seed);
    let dice = &mut dice;
    let names = ["Anne", "anne", "JEAN", "Zoé", "", "Jean-Luc", "Ω"];
    let mut crm = Vec::new();
    for contact in 0..people {
        // A third of the people have no record here; some have several versions, some at the same instant.
        if contact % 3 == 2 {
            continue;
        }
        for _ in 0..=dice.below(3) {
            let modified = ["2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z", ""][dice.below(3) as usize];
            let op = ["I", "U", "U", "U", "D", ""][dice.below(6) as usize];
            let country = ["FR", "DE", "", "ES"][dice.below(4) as usize];
            let (name, born) = (dice.one(&names), ["1980-02-29", "", "1999-12-31"][dice.below(3) as usize]);
            let optin = ["true", "false", ""][dice.below(3) as usize];
            crm.push(format!("{contact},{},{name},{country},{born},{optin},{op},{modified}", email(dice, people)));
        }
    }
    let accounts = (0..people / 2)
        .map(|account| {
            format!("a{account},{},{},{}", email(dice, people), dice.one(&names), instant(dice).replace("2031", "2021"))
        })
        .collect();
    let orders = (0..people * 14).map(|order| {
        let amount = match dice.below(9) {
            0 => String::new(),
            1 => "-0.01".into(),
            2 => "99999999999.999999999".into(),
            3 => "0.000000001".into(),
            _ => format!("{}{}.{:02}", if dice.below(4) == 0 { "-" } else { "" }, dice.below(300), dice.below(100)),
        };
        let price = match dice.below(8) {
            0 => String::new(),
            1 => "0.1".into(),
            2 => "-1e-7".into(),
            3 => "123456789012.125".into(),
            _ => format!("{}.{}", dice.below(50), dice.below(10)),
        };
        let n = if dice.below(6) == 0 { String::new() } else { format!("{}", dice.below(9) as i64 - 3) };
        let status = ["paid", "open", "", "paid"][dice.below(4) as usize];
        let flag = ["true", "false", ""][dice.below(3) as usize];
        let day = ["2026-03-29", "1960-01-01", "", "2024-02-29"][dice.below(4) as usize];
        let shop = ["s1", "s10", "s2", "", "Ω", "\"a, \"\"b\"\"\""][dice.below(6) as usize];
        format!("{order},{},{status},{amount},{price},{n},{flag},{day},{shop},{}", email(dice, people), instant(dice))
    });
    let orders: Vec<String> = orders.collect();
    let tickets = (0..people * 8).map(|ticket| {
        let total = if dice.below(7) == 0 { String::new() } else { format!("{}.{}", dice.below(90), dice.below(10)) };
        let shop = ["s1", "s3", "", "web"][dice.below(4) as usize];
        format!("{ticket},{},{total},{shop},{}", email(dice, people), instant(dice))
    });
    let tickets: Vec<String> = tickets.collect();
    let lines = (0..people * 20).map(|line| {
        let sku = ["shoe", "hat", "", "gone"][dice.below(4) as usize];
        // Some orders do not exist.
        format!("{},{line},{sku},{}.{}", dice.below(people * 15), dice.below(40), dice.below(10))
    });
    let lines: Vec<String> = lines.collect();
    let web = (0..people * 10).map(|event| {
        // Devices are shared: several accounts log in on some of them.
        let device = dice.below(people);
        let account = match dice.below(6) {
            0 => format!("a{}", dice.below(people / 2)),
            1 => format!("a{}", device / 2),
            _ => String::new(),
        };
        let name = ["viewed", "cart", "other", ""][dice.below(4) as usize];
        let path = ["/shoes/1", "/shoes", "/hats", ""][dice.below(4) as usize];
        format!("e{event},d{device},{account},{name},{path},{}", instant(dice))
    });
    let web: Vec<String> = web.collect();
    let preferences = (0..people * 2).map(|proof| {
        let purpose = ["newsletter", "ads", "", "unknown"][dice.below(4) as usize];
        let state = ["in", "out", "asked", ""][dice.below(4) as usize];
        format!("p{proof},{},{purpose},email,{state},{}", email(dice, people), instant(dice))
    });
    let preferences = preferences.collect();
    vec![
        Rows { name: "crm", header: "contact_id,email,first_name,country,born_on,optin,op,modified_at", rows: crm },
        Rows { name: "accounts", header: "id,email,first_name,created_at", rows: accounts },
        Rows { name: "orders", header: "order_id,email,status,amount,price,n,flag,day,shop,ordered_at", rows: orders },
        Rows { name: "tickets", header: "ticket_id,email,total,shop,sold_at", rows: tickets },
        Rows {
            name: "products",
            header: "sku,category",
            rows: vec!["shoe,Shoes".into(), "hat,Hats".into(), "sock,".into()],
        },
        Rows { name: "order_lines", header: "order_id,line_no,sku,amount", rows: lines },
        Rows { name: "web_events", header: "event_id,anonymous_id,account_id,name,path,occurred_at", rows: web },
        Rows { name: "preferences", header: "proof_id,email,purpose,channel,state,captured_at", rows: preferences },
    ]
}

/// `warehouse.yaml`.
pub(crate) fn warehouse(threads: usize) -> String {
    format!(
        "name: nasty\nwarehouse: {{root: ./warehouse}}\ntimezone: Europe/Paris\nengine: {{memory: 1GiB, threads: {threads}}}\n"
    )
}

/// Sources, events, identity and consents; traits, segments and scores are the tests' own.
pub(crate) const MODELS: &str = r#"
sources:
  crm:
    path: data/crm/*.csv
    key: contact_id
    versions: latest
    updated_at: modified_at
    deleted: "op = 'D'"
    columns:
      contact_id: {type: text}
      email: {type: email}
      first_name: {type: given_name}
      born_on: {type: date}
      optin: {type: boolean}
      modified_at: {type: timestamp}
  accounts:
    path: data/accounts/*.csv
    key: id
    updated_at: created_at
    columns: {email: {type: email}, first_name: {type: given_name}, created_at: {type: timestamp}}
  orders:
    path: data/orders/*.csv
    key: order_id
    time: ordered_at
    columns:
      order_id: {type: integer}
      email: {type: email}
      amount: {type: decimal}
      price: {type: number}
      n: {type: integer}
      flag: {type: boolean}
      day: {type: date}
      shop: {type: text}
      ordered_at: {type: timestamp}
  tickets:
    path: data/tickets/*.csv
    key: ticket_id
    time: sold_at
    columns: {ticket_id: {type: integer}, email: {type: email}, total: {type: number}, shop: {type: text}, sold_at: {type: timestamp}}
  products: {path: "data/products/*.csv", key: sku}
  order_lines:
    path: data/order_lines/*.csv
    key: [order_id, line_no]
    columns: {order_id: {type: integer}, line_no: {type: integer}, amount: {type: number}, sku: {type: text}}
    belongs_to: {orders: {order_id: order_id}, products: {sku: sku}}
  web_events:
    path: data/web_events/*.csv
    key: event_id
    time: occurred_at
    event: {column: name, names: [viewed, cart]}
    columns: {account_id: {type: text}, name: {type: text}, path: {type: text}, occurred_at: {type: timestamp}}
  preferences:
    path: data/preferences/*.csv
    key: proof_id
    time: captured_at
    columns: {email: {type: email}, captured_at: {type: timestamp}}
events:
  purchase:
    - {source: orders, where: "status = 'paid'", columns: {paid: amount, shop: shop}}
    - {source: tickets, columns: {paid: total, shop: "coalesce(shop, 'till')"}}
entities:
  customer:
    identity:
      identifiers:
        account_id: {priority: 1, per_customer: 1}
        email: {type: email, priority: 2, per_customer: 4}
        anonymous_id: {priority: 3, per_customer: 50}
      sources:
        crm: {role: record, ids: {email: email}}
        accounts: {role: record, ids: {account_id: id, email: email}}
        web_events: {role: link, ids: {anonymous_id: anonymous_id, account_id: account_id}}
        orders: {role: link, ids: {email: email}}
        tickets: {role: attach, ids: {email: email}}
        preferences: {role: attach, ids: {email: email}}
    attributes:
      email: {from: [crm.email, accounts.email], pick: most_recent}
      first_name: {from: [accounts.first_name, crm.first_name], pick: source_order}
      born_on: {from: [crm.born_on], pick: most_frequent}
      country: {from: [crm.country]}
purposes:
  newsletter: {channels: [email], valid_for: 1y}
  ads: {channels: [email]}
consents:
  centre:
    source: preferences
    contact: email
    purpose: purpose
    channel: channel
    status: {column: state, map: {in: granted, out: withdrawn, asked: pending}}
    at: captured_at
    proof: proof_id
  optin:
    source: crm
    contact: email
    purpose: {value: newsletter}
    channel: {value: email}
    status: "case when optin then 'granted' when not optin then 'withdrawn' end"
    at: modified_at
"#;

/// A line of YAML per trait, in the order given.
pub(crate) fn traits(lines: &[String]) -> String {
    let mut text = "traits:\n".to_owned();
    for (index, line) in lines.iter().enumerate() {
        let _ = writeln!(text, "  t_{index}: {line}");
    }
    text
}
