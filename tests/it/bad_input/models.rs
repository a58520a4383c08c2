//! Models and settings that do not hold together.

use std::fmt::Write as _;

use super::shop::Shop;

/// A project that `check` refuses is refused by `build` in the same words, and nothing is written.
#[track_caller]
fn refused(shop: &Shop, words: &[&str]) -> super::shop::Said {
    let said = shop.run(&["check"]);
    said.ends_with(1, words);
    let built = shop.run(&["build"]);
    built.ends_with(1, words);
    assert!(!shop.path("warehouse/cdp/customer").exists(), "something was built");
    said
}

#[test]
fn yaml_that_is_none() {
    for (text, word) in [
        ("segments: {a: {when: \"revenue > 1\"}\n", "models/more.yaml"),
        ("segments:\n  a:\n\twhen: x\n", "models/more.yaml:3"),
        ("segments: [\n", "models/more.yaml"),
        ("a: b: c\n", "models/more.yaml:1"),
        ("segments: \"\n", "models/more.yaml"),
        ("segments: *nowhere\n", "models/more.yaml:1"),
        ("--- a\n--- b\n", "models/more.yaml"),
    ] {
        refused(&Shop::new().add(text), &["error[E10", word]);
    }
}

#[test]
fn unknown_keys_and_names_are_answered_with_the_nearest() {
    let shop = Shop::new()
        .models("  buyers: {when: {did: orders}}", "  buyers: {wen: {did: orders}}")
        .models("{sum: orders.amount}", "{sum: order.amount}")
        .models("country = 'FR'", "contry = 'FR'");
    let said = refused(&shop, &["E103", "did you mean `when`?", "did you mean `orders`?", "did you mean `country`?"]);
    said.underlines("wen").underlines("contry");
}

#[test]
fn settings_that_are_wrong() {
    let changed = |from: &str, to: &str| Shop::new().change("warehouse.yaml", from, to);
    refused(&changed("Europe/Paris", "Europe/Pariss"), &["E111", "Europe/Paris"]).underlines("Europe/Pariss");
    refused(&changed("connector: files", "connector: flies"), &["E106", "did you mean `files`?"]).underlines("flies");
    refused(&changed("timezone:", "timezon:"), &["E103", "did you mean `timezone`?"]).underlines("timezon");
    refused(&changed("warehouse: {root: ./warehouse}\n", ""), &["`warehouse`"]);
    refused(&Shop::new().write("warehouse.yaml", ""), &["warehouse.yaml"]);
    refused(&changed("timezone:", "engine: {memory: lots}\ntimezone:"), &["E102", "4GiB"]).underlines("lots");
    Shop::new().run(&["check", "--target", "prod"]).ends_with(1, &["E107", "prod"]);
}

#[test]
fn names_that_are_defined_twice() {
    let shop = Shop::new().add("segments:\n  buyers: {when: \"revenue > 1\"}\n  twin: {when: \"revenue > 1\"}\n  twin: {when: \"revenue > 2\"}\n");
    let said =
        refused(&shop, &["E104", "buyers", "twin", "models/shop.yaml", "models/more.yaml:2", "models/more.yaml:4"]);
    assert_eq!(said.err.matches("error[E104]").count(), 2, "{said}");
    // What is defined after it is read, too; and nobody who names a broken model is blamed.
    let shop = Shop::new().models("  orders:\n    path", "  orders:\n    pat: x\n    key: [[1]]\n    path");
    let said = refused(&shop, &["E103", "E102"]);
    assert!(!said.err.contains("there is no"), "{said}");
    refused(&Shop::new().add("traits:\n  country: {count: orders}\n"), &["country", "models/more.yaml:2"]);
}

#[test]
fn cycles_among_segments_traits_and_scores() {
    let shop = Shop::new().add(
        "segments:\n  a: {when: {in: b}}\n  b: {when: {not_in: a}}\n\
         traits:\n  x: {sql: \"y + 1\"}\n  y: {sql: \"x + 1\"}\n  self: {sql: \"self + 1\"}\n",
    );
    let said = refused(&shop, &["E128"]);
    assert_eq!(said.err.matches("error[E128]").count(), 3, "{said}");
}

#[test]
fn a_column_that_a_source_lacks_or_of_the_wrong_type() {
    let shop = Shop::new().models("{sum: orders.amount}", "{sum: orders.amuont}").add(
        "traits:\n  mails: {sum: orders.email}\nsegments:\n  odd: {when: {did: orders, where: \"ordered_at > 5\"}}\n",
    );
    let said = refused(&shop, &["E202", "did you mean `orders.amount`?", "E204"]);
    said.underlines("orders.amuont").underlines("orders.email");
    refused(&Shop::new().models("key: order_id", "key: order_nr"), &["order_nr"]).underlines("order_nr");
    refused(&Shop::new().models("time: ordered_at", "time: amount"), &["E204"]).underlines("amount");
    refused(
        &Shop::new().models("first_name: {type: given_name}", "first_name: {type: given_name, from: forename}"),
        &["forename"],
    );
}

#[test]
fn sql_that_is_wrong_is_underlined_in_the_yaml() {
    let when =
        |sql: &str| Shop::new().add(&format!("segments:\n  odd:\n    when: {{did: orders, where: \"{sql}\"}}\n"));
    refused(&when("amount > and order_id = 1"), &["E201", "models/more.yaml:3"]);
    refused(&when("amount >"), &["E201", "models/more.yaml:3"]);
    refused(&when("amuont > 5"), &["E202", "did you mean `amount`?"]).underlines("amuont");
    refused(&when("amount > 'five' and nosuch(amount) = 1"), &["E20"]).underlines("nosuch(amount");
    refused(&when("random() > 0.5"), &["E206"]).underlines("random");
    refused(&when("amount > 5; drop table customer"), &["E20", "models/more.yaml:3"]);
    let block = Shop::new().add("segments:\n  odd:\n    when: |\n      country = 'FR'\n      and contry = 'BE'\n");
    refused(&block, &["E202", "models/more.yaml:5"]).underlines("contry");
}

#[test]
fn sql_that_writes_or_reads_files() {
    let sync = |sql: &str| {
        let from = format!("from: {{sql: \"{sql}\"}}");
        Shop::new().models("from: {segment: buyers}", &from)
    };
    refused(&sync("delete from customer"), &["E207"]);
    refused(&sync("drop table customer"), &["E207"]);
    refused(&sync("insert into customer select * from customer"), &["E207"]);
    refused(&sync("select customer_id from customer; drop table customer"), &["E20"]);
    refused(&sync("copy customer to 'out.csv'"), &["E207"]);
    refused(&sync("create external table t stored as csv location '/etc/passwd'"), &["E20"]);
    refused(&sync("select customer_id from read_csv('/etc/passwd')"), &["E20"]);
    refused(&sync("select customer_id from '/etc/passwd'"), &["E20"]);
    refused(&sync("select customer_id from customer where exists (select 1 from '/etc/passwd')"), &["E20"]);
    let exists = "segments:\n  odd: {when: \"exists (select 1 from orders)\"}\n";
    refused(&Shop::new().add(exists), &["E203"]);
}

#[test]
fn everything_is_said_in_one_go() {
    let shop = Shop::new()
        .change("warehouse.yaml", "connector: files", "connector: flies")
        .models("key: order_id", "key: order_nr")
        .models("country = 'FR'", "contry = 'FR'")
        .write("models/a.yaml", "segments:\n  broken: {when: \"revenue >\"}\n")
        .write("models/sub/b.yml", "traits:\n  x: {count: orders, of_whom: customer}\n")
        .write("models/c.yaml", "purposes:\n  Ads: {channels: [ads]}\n");
    let files = ["warehouse.yaml:5", "models/shop.yaml", "models/a.yaml:2", "models/sub/b.yml:2", "models/c.yaml:2"];
    let said = refused(&shop, &files);
    said.ends_with(1, &["E106", "E202", "E201", "E103", "E105", "errors"]);
    let lines = shop.run(&["check", "--format", "json"]);
    lines.ends_with(1, &[]);
    let count = said.err.matches("error[E").count();
    let parsed =
        lines.err.lines().chain(lines.out.lines()).map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    assert_eq!(parsed.filter(|line| line["severity"] == "error").count(), count, "{lines}");
}

#[test]
fn names_of_a_file_that_cannot_be_read_are_not_missed() {
    let moved = |from: &str| {
        let shop = Shop::new();
        let text = std::fs::read_to_string(shop.path("models/shop.yaml")).unwrap();
        let cut = text.find(from).unwrap();
        shop.write("models/shop.yaml", &text[..cut]).write("models/rest.yaml", format!("{}  x: [\n", &text[cut..]))
    };
    for from in ["purposes:", "segments:", "traits:", "entities:"] {
        let said = refused(&moved(from), &["E101", "models/rest.yaml"]);
        assert_eq!(said.err.matches("error[E").count(), 1, "{from}: {said}");
    }
    // What is wrong whatever that file says is told with it.
    let shop =
        moved("segments:").models("path: data/orders.csv", "path: data/none.csv").add("traits: {b: {cuont: x}}\n");
    let said = refused(&shop, &["E101", "E301", "E103", "cuont"]);
    assert!(!said.err.contains("E108"), "{said}");
    // So it is with settings: variables may be in them.
    let shop = Shop::new()
        .change("warehouse.yaml", "name: shop", "name: [shop\nvars: {min: 1}")
        .models("{when: {did: orders}}", "{when: {did: orders, count: {min: \"${vars.min}\"}}}");
    let said = refused(&shop, &["E101", "warehouse.yaml"]);
    assert_eq!(said.err.matches("error[E").count(), 1, "{said}");
    // And with what is no section, or a section that is no map.
    for broken in ["segmants:\n  x: {when: \"revenue > 1\"}\n", "segments: [x]\n"] {
        let shop = Shop::new().add(broken).models("{segment: buyers}", "{segment: x}");
        let said = refused(&shop, &["models/more.yaml:1"]);
        assert_eq!(said.err.matches("error[E").count(), 1, "{said}");
    }
}

#[test]
fn files_that_are_no_model_files() {
    let shop = Shop::new().write("models/latin.yaml", b"segments:\n  caf\xe9: {when: \"revenue > 1\"}\n");
    refused(&shop, &["W002", "models/latin.yaml", "UTF-8"]);
    let shop = Shop::new().write("models/latin.yaml", b"\xff\xfes\0e\0g\0");
    refused(&shop, &["W002", "models/latin.yaml", "iconv"]);
    let shop = Shop::new().add("segments:\n  nul: {when: \"revenue > 1\0\"}\n");
    refused(&shop, &["E101", "models/more.yaml:2:27", "NUL"]);
    // Links: one that leads nowhere, and one that leads back.
    let shop = Shop::new();
    std::os::unix::fs::symlink("nowhere", shop.path("models/link.yaml")).unwrap();
    refused(&shop, &["W002", "models/link.yaml", "leads nowhere"]);
    let shop = Shop::new();
    std::os::unix::fs::symlink(".", shop.path("models/again")).unwrap();
    shop.run(&["check"]).ends_with(0, &["is in order"]);
    let shop = Shop::new().write("models/folder.yaml/inner.txt", "");
    shop.run(&["check"]).ends_with(0, &[]);
    // A project without models, one without a warehouse, and none at all.
    let shop = Shop::new();
    std::fs::remove_dir_all(shop.path("models")).unwrap();
    refused(&shop, &["E118"]);
    std::fs::remove_file(shop.path("warehouse.yaml")).unwrap();
    refused(&shop, &["W002", "warehouse.yaml", "cohorte init"]);
    shop.run(&["check", "--project", "nowhere"]).ends_with(1, &["W002", "nowhere"]);
}

#[test]
fn yaml_that_is_deep_or_long_or_multiplies() {
    let deep = format!("segments:\n  a: {{when: {}x{}}}\n", "[".repeat(20_000), "]".repeat(20_000));
    refused(&Shop::new().add(&deep), &["models/more.yaml"]);
    let nested = format!("segments:\n  a: {{when: {}{{did: orders}}{}}}\n", "{not: ".repeat(5_000), "}".repeat(5_000));
    refused(&Shop::new().add(&nested), &["models/more.yaml"]);
    let crlf = "\u{feff}segments:\r\n  a:\r\n    when: |\r\n      revenue > 1\r\n      and contry = 'FR'\r\n";
    refused(&Shop::new().add(crlf), &["E202", "models/more.yaml:5:11"]).underlines("contry");
    let long = format!("segments:\n  a: {{when: \"{} contry = 'FR'\"}}\n", " ".repeat(10 << 20));
    let said = refused(&Shop::new().add(&long), &["E202", "contry"]);
    assert!(said.err.len() < 10_000, "{} bytes are said", said.err.len());
    let sql = format!("segments:\n  a: {{when: \"{}revenue > 1{}\"}}\n", "(".repeat(50_000), ")".repeat(50_000));
    refused(&Shop::new().add(&sql), &["E201"]);
    let mut laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for n in 1..12 {
        let before = n - 1;
        let list = format!("*a{before}, ").repeat(9);
        writeln!(laughs, "a{n}: &a{n} [{list}]").unwrap();
    }
    refused(&Shop::new().add(&laughs), &["models/more.yaml"]);
}

#[test]
fn names_that_would_break_sql_or_paths() {
    for name in ["a\\\"b", "a;b", "a'b", "../up", "a b", "", "select", "é", "a/b", "💥"] {
        let shop = Shop::new().add(&format!("segments:\n  \"{name}\": {{when: \"revenue > 1\"}}\n"));
        let said = shop.run(&["build"]);
        assert!(matches!(said.code, Some(0 | 1)), "{name}: {said}");
        assert!(said.code == Some(0) || said.err.contains("E105"), "{name}: {said}");
    }
    let shop = Shop::new().change("warehouse.yaml", "{root: ./warehouse}", "{root: ./warehouse, schema: ../../up}");
    let said = shop.run(&["build"]);
    said.ends_with(1, &["schema"]);
}
