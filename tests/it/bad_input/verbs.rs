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
    // A query that fails while it runs tells no value.
    let said = shop.run(&["query", "select cast(email as int) as n from customer"]);
    assert!(said.code.is_some(), "{said}");
    shop.run(&["query", "select count(*) as n from customer"]).ends_with(0, &["4"]);
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
