//! Data that is not what its source says.

use std::fs;
use std::io::Write as _;
use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use datafusion::parquet::arrow::ArrowWriter;

use super::shop::{Said, Shop};

/// `build` refuses the data, and nothing is published.
#[track_caller]
fn refused(shop: &Shop, words: &[&str]) -> Said {
    let said = shop.run(&["build"]);
    said.ends_with(1, words);
    assert!(!shop.path("warehouse/cdp/customer").exists(), "something was built");
    said
}

#[test]
fn a_source_that_is_not_there() {
    let shop = Shop::new();
    fs::remove_file(shop.path("data/orders.csv")).unwrap();
    refused(&shop, &["E301", "`orders`", "data/orders.csv"]).underlines("orders");
    refused(&Shop::new().models("data/orders.csv", "data/o*.ndjson"), &["E301", "data/o*.ndjson"]);
    // The table is named, the folder is empty.
    let shop = Shop::new().models("path: data/orders.csv\n    format: csv", "table: raw/orders");
    refused(&shop, &["E311", "raw/orders", "cohorte load"]);
    // A folder without files of the format.
    refused(&Shop::new().models("data/orders.csv", "models"), &["E301", "models"]);
}

#[test]
fn a_folder_where_a_file_is_meant() {
    let shop = Shop::new();
    fs::remove_file(shop.path("data/orders.csv")).unwrap();
    fs::create_dir(shop.path("data/orders.csv")).unwrap();
    refused(&shop, &["E301", "data/orders.csv"]);
    let shop = shop
        .write("data/orders.csv/a.csv", "order_id,email,amount,ordered_at\n1,x@mailbox.test,1,2025-01-01T00:00:00Z\n");
    shop.run(&["build"]).ends_with(0, &[]);
}

#[test]
fn lines_that_are_ragged() {
    for (rows, line) in [("4,pygmalion@mailbox.test,1.0\n", 5), ("4,pygmalion@mailbox.test,1,2025-01-01,5\n", 5)] {
        refused(&Shop::new().append("data/orders.csv", rows), &["E303", "orders.csv", &format!("line {line}")]);
    }
    let open_quote = "4,\"pygmalion@mailbox.test,1.0,2025-01-01\n5,b,2,2025-01-02T00:00:00Z\n";
    refused(&Shop::new().append("data/orders.csv", open_quote), &["E303", "line 5"]);
}

#[test]
fn another_encoding() {
    let mut latin = fs::read(Shop::new().path("data/contacts.csv")).unwrap();
    latin.extend_from_slice(b"C5,pygmalion@mailbox.test,Ren\xe9e,FR,yes,2025-01-19T20:31:00Z\n");
    refused(&Shop::new().write("data/contacts.csv", latin), &["E304", "line 6", "first_name", "iconv"]);
    let text = "order_id,email,amount,ordered_at\n";
    let utf16: Vec<u8> = [0xff, 0xfe].into_iter().chain(text.encode_utf16().flat_map(u16::to_le_bytes)).collect();
    refused(&Shop::new().write("data/orders.csv", utf16), &["E304", "line 1"]);
}

#[test]
fn a_type_that_changes_half_way() {
    let mut rows = String::new();
    for n in 10..6_000 {
        rows.push_str(&format!("{n},aurelia.quux@mailbox.test,{n}.5,2025-01-01T00:00:00Z\n"));
    }
    rows.push_str("6000,balthazar.quux@mailbox.test,quux,2025-01-01T00:00:00Z\n");
    refused(&Shop::new().append("data/orders.csv", &rows), &["E305", "line 5995", "`amount`", "type: text"]);
    // Within the sample, the column is text: the trait that adds it up says so, and the line that made it text is named.
    let shop = Shop::new().append("data/orders.csv", "6000,balthazar.quux@mailbox.test,quux,2025-01-01T00:00:00Z\n");
    let said = refused(&shop, &["E204", "warning[E312]", "`orders.csv`, line 5,", "no number"]);
    said.underlines("orders.amount");
    // Where it is declared, it is the line's fault; a column of codes is nobody's.
    let shop = shop.models(
        "      email: {type: email}\nentities",
        "      email: {type: email}\n      amount: {type: decimal}\nentities",
    );
    refused(&shop, &["E305", "line 5", "`amount`"]);
    let said =
        Shop::new().append("data/contacts.csv", "5,p@mailbox.test,P,FR,yes,2025-01-08T09:12:00Z\n").run(&["build"]);
    assert!(!said.ends_with(0, &[]).err.contains("E312"), "{said}");
    // NDJSON says one thing and then another.
    let shop = Shop::new()
        .models("path: data/orders.csv\n    format: csv", "path: data/orders.ndjson\n    format: ndjson")
        .write("data/orders.ndjson", "{\"order_id\": 1, \"email\": \"a@mailbox.test\", \"amount\": 1.5, \"ordered_at\": \"2025-01-01T00:00:00Z\"}\n{\"order_id\": 2, \"email\": \"pygmalion@mailbox.test\", \"amount\": {\"eur\": 5}, \"ordered_at\": \"2025\"}\n");
    refused(&shop, &["E20", "amount"]);
}

#[test]
fn keys_that_repeat_or_are_missing() {
    let twice = "C1,pygmalion@mailbox.test,Pygmalion,FR,yes,2025-01-08T09:12:00Z\n";
    let said = refused(&Shop::new().append("data/contacts.csv", twice), &["E402", "contact_id", "versions: latest"]);
    said.underlines("contacts");
    let none = ",pygmalion@mailbox.test,Pygmalion,FR,yes,2025-01-08T09:12:00Z\n";
    refused(&Shop::new().append("data/contacts.csv", none), &["E402", "1 of 5 rows", "contact_id"]);
}

#[test]
fn an_expectation_that_rows_break() {
    let expect = |expectation: &str| {
        let expect = format!("key: order_id\n    expect: [{{{expectation}}}]");
        Shop::new().models("key: order_id", &expect)
    };
    refused(&expect("accepted: amount, values: [1, 2]"), &["E401", "3 of 3 rows"]);
    refused(
        &expect("unique: ordered_at").append("data/orders.csv", "4,,1,2025-01-10T10:02:00Z\n"),
        &["E401", "repeat"],
    );
    refused(
        &expect("not_null: email").append("data/orders.csv", "4,,1,2025-01-10T10:02:00Z\n"),
        &["E401", "lack `email`"],
    );
    refused(&expect("fresh: ordered_at, within: 2d"), &["E401", "older than 2d"]);
    expect("fresh: ordered_at, within: 2d, severity: warn")
        .run(&["build"])
        .ends_with(0, &["warning[E401]", "older than 2d"]);
}

#[test]
fn a_source_without_rows() {
    let header = "order_id,email,amount,ordered_at\n";
    let shop = Shop::new().write("data/orders.csv", header).add(
        "traits:\n  lowest: {min: orders.amount}\n  twice: {sql: \"lowest * 2\"}\n  last_amount: {last: orders.amount}\n  usual: {mode: orders.amount}\n  \
         kinds: {count_distinct: orders.amount}\nsegments:\n  cheap: {when: \"lowest < 5\"}\n  \
         dear: {when: {did: orders, where: \"amount > 5 and ordered_at < now()\", within: 90d}}\nscores:\n  \
         worth: {rfm: {event: orders, amount: amount}}\n",
    );
    shop.run(&["run"]).ends_with(0, &["dear"]);
    // The first rows come: the types are what they are.
    let shop = shop.append("data/orders.csv", "1,aurelia.quux@mailbox.test,59.90,2025-01-10T10:02:00Z\n");
    shop.run(&["run"]).ends_with(0, &["dear"]);
    // An export that broke: nothing is taken from it, in no run, until somebody says that it is the truth.
    let shop = shop.write("data/orders.csv", header);
    for _ in 0..2 {
        shop.run(&["run"]).ends_with(1, &["error[E406]", "`orders` has no rows any more; it had 1", "--accept orders"]);
    }
    shop.run(&["query", "select count(*) as n from customer where lowest is not null"]).ends_with(0, &["1"]);
    shop.run(&["run", "--accept", "orders"]).ends_with(0, &["dear"]);
    shop.run(&["query", "select what, subject, why from audit"]).ends_with(0, &["source:orders", "it had 1"]);
    shop.run(&["run", "--full-refresh"]).ends_with(0, &["warning[E403]"]);
    let shop = Shop::new().write("data/orders.csv", header);
    shop.run(&["build"]).ends_with(0, &["warning[E403]", "`orders` has no rows"]);
    refused(&Shop::new().write("data/orders.csv", ""), &["E302", "orders.csv"]).underlines("orders");
    refused(&Shop::new().write("data/orders.csv", "\n\n"), &["E30", "orders.csv"]);
    // Nobody at all: the tables are there, and empty.
    let shop = Shop::new()
        .write("data/orders.csv", header)
        .write("data/contacts.csv", "contact_id,email,first_name,country,newsletter,updated_at\n");
    shop.run(&["build"]).ends_with(0, &["`contacts` has no rows"]);
    let nobody =
        Shop::new().models("path: data/orders.csv\n    format: csv", "path: data/orders.ndjson\n    format: ndjson");
    refused(&nobody.write("data/orders.ndjson", ""), &["warning[E302]", "only declared columns", "E202"]);
}

#[test]
fn times_that_cannot_be_read() {
    let shop = Shop::new()
        .models("      email: {type: email}\nentities", "      email: {type: email}\n      ordered_at: {parse: \"%d/%m/%Y\"}\nentities")
        .write("data/orders.csv", "order_id,email,amount,ordered_at\n1,aurelia.quux@mailbox.test,5.0,31/01/2025\n2,balthazar.quux@mailbox.test,5.0,2025-02-31\n3,,5.0,\n");
    shop.run(&["build"]).ends_with(0, &["warning[E404]", "2 of 3 rows", "`ordered_at`"]);
    // A format that fits no row is no accident of the data.
    let shop = Shop::new().models(
        "      email: {type: email}\nentities",
        "      email: {type: email}\n      ordered_at: {parse: \"%m-%Y-%d %H\"}\nentities",
    );
    shop.run(&["build"]).ends_with(0, &["warning[E405]", "`ordered_at`", "cannot be read", "parse:"]);
}

#[test]
fn dates_out_of_range() {
    let rows = "4,aurelia.quux@mailbox.test,1.0,9999-12-31T23:59:59Z\n5,balthazar.quux@mailbox.test,1.0,0001-01-01T00:00:00Z\n6,balthazar.quux@mailbox.test,1.0,1677-01-01T00:00:00Z\n";
    let within = "segments:\n  lately: {when: {did: orders, within: 90d}}\n  early: {when: {did: orders, within: 9000y}}\nscores:\n  warm: {points: [{did: orders, points: 5, half_life: 30d}]}\n";
    let shop = Shop::new().append("data/orders.csv", rows).add(within);
    let said = shop.run(&["build"]);
    assert!(matches!(said.code, Some(0 | 1)), "{said}");
    let beyond = Shop::new().append("data/orders.csv", "4,aurelia.quux@mailbox.test,1.0,+99999-12-31T23:59:59Z\n");
    let said = beyond.run(&["build"]);
    assert!(matches!(said.code, Some(0 | 1)), "{said}");
    for as_of in ["9999-12-31", "0001-01-01", "1600-02-30", "99999999-01-01"] {
        let said = Shop::new().add(within).run(&["build", "--as-of", as_of]);
        assert!(matches!(said.code, Some(0 | 1)), "{as_of}: {said}");
    }
}

#[test]
fn numbers_that_are_none_and_numbers_without_end() {
    let rows = "4,aurelia.quux@mailbox.test,NaN,2025-01-10T10:02:00Z\n5,aurelia.quux@mailbox.test,inf,2025-01-11T10:02:00Z\n6,balthazar.quux@mailbox.test,-inf,2025-01-11T10:02:00Z\n7,balthazar.quux@mailbox.test,1e308,2025-01-11T10:02:00Z\n8,balthazar.quux@mailbox.test,1e308,2025-01-11T10:02:00Z\n";
    let said = Shop::new().append("data/orders.csv", rows).run(&["build"]);
    assert!(matches!(said.code, Some(0 | 1)), "{said}");

    let amounts: ArrayRef =
        Arc::new(Float64Array::from(vec![f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MAX, f64::MAX, -0.0]));
    let shop = Shop::new()
        .models("path: data/orders.csv\n    format: csv", "path: data/orders.parquet\n    format: parquet")
        .write("data/orders.parquet", parquet(amounts))
        .add("traits:\n  lowest: {min: orders.amount}\n  mean: {avg: orders.amount}\n  usual: {mode: orders.amount}\n  kinds: {count_distinct: orders.amount}\nscores:\n  worth: {rfm: {event: orders, amount: amount}}\nsegments:\n  rich: {when: \"revenue > 100\"}\n");
    shop.run(&["build"]).ends_with(0, &["rich"]);
    let said = shop.run(&["run"]);
    assert!(matches!(said.code, Some(0)), "{said}");
}

/// Orders with these amounts.
fn parquet(amounts: ArrayRef) -> Vec<u8> {
    let n = amounts.len();
    let ids: ArrayRef = Arc::new((0..n as i64).collect::<Int64Array>());
    let emails: ArrayRef = Arc::new((0..n).map(|_| Some("aurelia.quux@mailbox.test")).collect::<StringArray>());
    let times: ArrayRef =
        Arc::new(TimestampMicrosecondArray::from(vec![1_736_000_000_000_000; n]).with_timezone("UTC"));
    let rows =
        RecordBatch::try_from_iter([("order_id", ids), ("email", emails), ("amount", amounts), ("ordered_at", times)])
            .unwrap();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, rows.schema(), None).unwrap();
    writer.write(&rows).unwrap();
    writer.close().unwrap();
    bytes
}

#[test]
fn files_that_are_cut_short() {
    let whole = parquet(Arc::new((0..1000).map(f64::from).collect::<Float64Array>()));
    let broken = |bytes: &[u8]| {
        Shop::new()
            .models("path: data/orders.csv\n    format: csv", "path: data/orders.parquet\n    format: parquet")
            .write("data/orders.parquet", bytes)
    };
    for length in [0, 3, 8, whole.len() / 2, whole.len() - 1] {
        let said = refused(&broken(&whole[..length]), &["orders.parquet"]);
        assert!(said.err.contains("E310") || said.err.contains("E302"), "{length}: {said}");
    }
    // The footer is whole, what it speaks of is not.
    let mut holed = whole.clone();
    let middle = whole.len() / 2;
    holed[4..middle].fill(0xff);
    let said = broken(&holed).run(&["build"]);
    assert!(matches!(said.code, Some(1 | 2)) && said.err.contains("orders"), "{said}");

    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(&fs::read(Shop::new().path("data/orders.csv")).unwrap()).unwrap();
    let gzip = gzip.finish().unwrap();
    let zipped =
        |bytes: &[u8]| Shop::new().models("data/orders.csv", "data/orders.csv.gz").write("data/orders.csv.gz", bytes);
    zipped(&gzip).run(&["build"]).ends_with(0, &[]);
    refused(&zipped(&gzip[..gzip.len() / 2]), &["E310", "orders.csv.gz"]);
    refused(&zipped(&gzip[..gzip.len() - 6]), &["E310", "orders.csv.gz"]);
    let mut damaged = gzip.clone();
    let at = gzip.len() / 2;
    damaged[at] ^= 0x55;
    let said = refused(&zipped(&damaged), &["orders.csv.gz"]);
    assert!(said.err.contains("error[E3"), "{said}");
}

#[test]
fn lines_that_are_very_long() {
    let long = "x".repeat(10 << 20);
    let row = format!("C9,{long}@mailbox.test,{long},FR,yes,2025-01-08T09:12:00Z\n");
    Shop::new().append("data/contacts.csv", &row).run(&["build"]).ends_with(0, &[]);
    let header = format!("{long},email,amount,ordered_at\n");
    let said = Shop::new().write("data/orders.csv", header).run(&["build"]);
    said.ends_with(1, &["order"]);
    assert!(said.err.len() < 100_000, "{} bytes are said", said.err.len());
}

#[test]
fn columns_with_names_like_code() {
    let names = [
        "a\"b",
        "a;drop table x;--",
        "it's",
        "select",
        "a.b",
        "A",
        "é",
        "💥",
        "a b",
        "_row",
        "customer_id",
        "cohorte_key",
    ];
    let header: Vec<String> = names.iter().map(|name| format!("\"{}\"", name.replace('"', "\"\""))).collect();
    let values = vec!["1"; names.len()].join(",");
    let shop = Shop::new().write(
        "data/orders.csv",
        format!(
            "order_id,email,amount,ordered_at,{}\n1,aurelia.quux@mailbox.test,5.5,2025-01-10T10:02:00Z,{values}\n",
            header.join(",")
        ),
    );
    let shop = shop.add("traits:\n  odd: {sum: orders.amount, where: '\"a\"\"b\" = 1 and \"a;drop table x;--\" = 1 and \"it''s\" = 1 and \"💥\" = 1'}\nsegments:\n  odd_ones: {when: \"odd > 0\"}\n");
    shop.run(&["build"]).ends_with(0, &["odd_ones"]);
    let doubled = "order_id,email,email,ordered_at\n";
    refused(&Shop::new().write("data/orders.csv", doubled), &["E307", "two columns are called `email`"]);
    refused(&Shop::new().write("data/orders.csv", "order_id,email,,ordered_at\n"), &["E307", "number 3"]);
}

#[test]
fn text_of_every_kind() {
    let rows = "C5,\"🦊@mailbox.test\",\"🦊\u{200d}🔥 \u{202e}abc\",FR,yes,2025-01-08T09:12:00Z\n\
                C6,\"a\0b@mailbox.test\",\"A\0\",\"F\0R\",yes,2025-01-08T09:12:00Z\n\
                C7,\"'; drop table customer; --\",\"{{ ${env.HOME} }}\",\"\u{1b}[31m\",\"=cmd|' /C calc'!A0\",2025-01-08T09:12:00Z\n\
                \u{feff}C8,\"\",\"line\nbreak\",\"\t\",\"\u{7f}\",2025-01-08T09:12:00Z\n";
    let shop = Shop::new().append("data/contacts.csv", rows);
    shop.run(&["build"]).ends_with(0, &[]);
    shop.run(&["run"]).ends_with(0, &[]);
    // The same bytes where the finding shows a line of the models.
    let models = "segments:\n  odd: {when: \"contry = '\\u001b[31m🦊\\0'\"} # \u{202e}\u{1b}[31m\n";
    shop.add(models).run(&["check"]).ends_with(1, &["E"]);
}
