//! Verbs that are asked for what is not there, or for what they must not do.

use super::shop::Shop;

#[test]
fn queries_that_write_or_read_files() {
    let shop = Shop::new();
    shop.run(&["build"]).ends_with(0, &[]);
    shop.run(&["query", "select count(*) as n from customer"]).ends_with(0, &["4"]);
    for sql in [
        "drop table customer",
        "delete from customer",
        "insert into customer select * from customer",
        "copy customer to 'out.csv'",
        "create table t as select 1",
        "select * from '/etc/passwd'",
        "select * from \"data/orders.csv\"",
        "select 1; select 2",
        "set datafusion.execution.batch_size = 1",
        "with x as (delete from customer) select 1",
        "",
        "selec 1",
    ] {
        let said = shop.run(&["query", sql]);
        said.ends_with(1, &["error[E20"]);
        assert!(!shop.path("out.csv").exists());
    }
    shop.run(&["query", "select nothing from customer"]).ends_with(1, &["nothing"]);
    shop.run(&["query", "select * from custmer"]).ends_with(1, &["custmer"]);
    shop.run(&["query", "select count(*) as n from customer"]).ends_with(0, &["4"]);
}

#[test]
fn e208_queries_that_fail_on_a_value() {
    let shop = Shop::new();
    shop.run(&["build"]).ends_with(0, &[]);
    // What is at fault is underlined, what to do is said, and no value is told.
    for (sql, part, help) in [
        ("select 100 / (order_count - 1) as n from customer", "100 / (order_count - 1", "nullif(b, 0)"),
        ("select 1 / 0 as n", "1 / 0", "nullif(b, 0)"),
        ("select n % 0 from (select order_count as n from customer)", "n % 0", "nullif(b, 0)"),
        ("select cast(email as int) as n from customer", "email", "try_cast(x as int)"),
        ("select email::int as n from customer", "email", "try_cast(x as int)"),
        ("select cast('2025-02-30' as date) as n", "'2025-02-30'", "try_cast(x as int)"),
        ("select cast(9e37 as decimal(38, 0)) * order_count * 9 as n from customer", "", "decimal(38, 9)"),
    ] {
        for format in ["human", "json"] {
            let said = shop.run(&["query", sql, "--format", format]);
            said.ends_with(1, &["E208", help]);
            assert!(!said.err.contains("compile"), "{said}");
            if format == "human" && !part.is_empty() {
                assert!(said.err.contains(part) && said.err.contains("^^^"), "{said}");
            }
        }
    }
    // What the world is at fault for stays with the world.
    let customer = shop.path("warehouse/cdp/customer");
    for entry in std::fs::read_dir(&customer).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            std::fs::remove_file(path).unwrap();
        }
    }
    shop.run(&["query", "select max(email) as n from customer"]).ends_with(2, &["error[W4"]);
}

#[test]
fn what_is_asked_for_is_not_there() {
    let shop = Shop::new();
    for arguments in [
        &["show", "buyer"] as &[&str],
        &["compile", "buyer"],
        &["load", "nowhere", "data/orders.csv"],
        &["load", "orders", "data/none.csv"],
        &["build", "--select", "buyer"],
        &["receipts", "buyers_ou"],
        &["explain", "E999"],
    ] {
        let said = shop.run(arguments);
        said.ends_with(1, &["error["]);
    }
    shop.run(&["runs"]).ends_with(0, &[]);
    shop.run(&["build"]).ends_with(0, &[]);
    for arguments in [&["show", "buyer"] as &[&str], &["compile", "buyer"], &["build", "--select", "buyer"]] {
        shop.run(arguments).ends_with(1, &["buyer"]);
    }
}

#[test]
fn files_that_cannot_be_loaded() {
    let shop = || Shop::new().models("path: data/orders.csv\n    format: csv", "table: raw/orders");
    let whole = shop();
    whole.run(&["load", "orders", "data/orders.csv"]).ends_with(0, &["3"]);
    whole.run(&["build"]).ends_with(0, &[]);
    // Ragged, of another encoding, of another type than the table has: nothing of the file is loaded.
    for bytes in [
        b"order_id,email,amount,ordered_at\n9,a,1.0\n".as_slice(),
        b"order_id,email,amount,ordered_at\n9,caf\xe9,1.0,2025-01-01T00:00:00Z\n",
        b"order_id,email,amount,ordered_at\n9,quux,pygmalion,2025-01-01T00:00:00Z\n",
        b"",
    ] {
        let whole = Shop::write(shop(), "data/next.csv", bytes);
        whole.run(&["load", "orders", "data/orders.csv"]).ends_with(0, &[]);
        whole.run(&["load", "orders", "data/next.csv"]).ends_with(1, &["error[E30", "next.csv"]);
        whole.run(&["query", "select count(*) as n from orders"]).ends_with(0, &["3"]);
    }
}
