//! What is remembered of rows: new ones are added to it, and what it does not fit any more is read again.

use cohorte::run;
use url::Url;

use crate::results::{SHOP, anew, computed, shop};

#[tokio::test(flavor = "multi_thread")]
async fn w415_a_table_that_grew_is_read_from_its_new_files_as_long_as_its_log_tells_which() {
    let folder = shop();
    folder.write("models/shop.yaml", &SHOP.replace("path: orders.csv", "table: raw/orders"));
    let load = async |number: i64, rows: &str| {
        let name = format!("orders_{number}.csv");
        folder.write(&name, &format!("id,email,at,amount\n{rows}\n"));
        run::load(&folder.request("2026-06-01T00:00:00Z"), "orders", &[name], folder.path()).await.unwrap();
    };
    let built = async |as_of: &str| {
        let built = folder.build(as_of).await;
        let told = built.findings.iter().filter(|finding| finding.code == "W415").count();
        (computed(&built).join(" "), told, folder.query("select revenue from customer").await.join(" "))
    };
    load(1, "1,a@x.fr,2026-05-01T00:00:00Z,10\n2,b@x.fr,2026-05-20T00:00:00Z,20").await;
    let first = built("2026-06-01T10:00:00Z").await;
    assert_eq!(first, ("customer_golden pass_customer_orders".into(), 0, "0.0 20.0".into()));
    load(2, "3,a@x.fr,2026-05-25T00:00:00Z,1").await;
    assert_eq!(built("2026-06-01T11:00:00Z").await, ("+pass_customer_orders".into(), 0, "1.0 20.0".into()));

    // Files that are put together are no news, and hide none.
    let table = async || folder.warehouse().table_at("raw/orders", None).await.unwrap().unwrap();
    let delta = async || {
        deltalake::open_table(Url::from_directory_path(folder.path().join("warehouse/raw/orders")).unwrap())
            .await
            .unwrap()
    };
    let files = table().await.files().unwrap();
    delta().await.optimize().await.unwrap();
    assert!(table().await.files().unwrap() < files);
    load(3, "4,b@x.fr,2026-05-26T00:00:00Z,2").await;
    assert_eq!(built("2026-06-01T12:00:00Z").await, ("+pass_customer_orders".into(), 0, "1.0 22.0".into()));

    // Its log begins later than the last build.
    let last = table().await.version();
    load(4, "5,b@x.fr,2026-05-27T00:00:00Z,3").await;
    load(5, "6,a@x.fr,2026-05-27T00:00:00Z,4").await;
    deltalake::checkpoints::create_checkpoint(&delta().await, None).await.unwrap();
    for version in 0..=last + 1 {
        std::fs::remove_file(folder.path().join(format!("warehouse/raw/orders/_delta_log/{version:020}.json")))
            .unwrap();
    }
    assert_eq!(built("2026-06-01T13:00:00Z").await, ("pass_customer_orders".into(), 1, "25.0 5.0".into()));
    load(6, "7,a@x.fr,2026-05-28T00:00:00Z,5").await;
    assert_eq!(built("2026-06-01T14:00:00Z").await, ("+pass_customer_orders".into(), 0, "10.0 25.0".into()));
    // Another table in its place has other rows, whatever its version is.
    std::fs::remove_dir_all(folder.path().join("warehouse/raw/orders")).unwrap();
    for number in 10..20 {
        load(number, &format!("{number},a@x.fr,2026-05-28T00:00:00Z,1")).await;
    }
    assert_eq!(built("2026-06-01T15:00:00Z").await, ("pass_customer_orders".into(), 0, "0.0 10.0".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_may_have_waited_for_what_they_belong_to_are_read_again() {
    let folder = shop();
    let lines = "  lines: {path: lines/*.csv, key: line, belongs_to: {orders: {id: order}}, columns: {amount: {type: decimal}}}\n";
    let models = SHOP
        .replace("path: orders.csv", "path: orders/*.csv")
        .replace("entities:", &format!("{lines}entities:"))
        .replace("segments:", "  goods: {sum: lines.amount, within: 30d}\nsegments:");
    folder.write("models/shop.yaml", &models);
    let orders = |file: &str, rows: &str| {
        folder.write(&format!("orders/{file}.csv"), &format!("id,email,at,amount\n{rows}\n"));
    };
    let lines =
        |file: &str, rows: &str| folder.write(&format!("lines/{file}.csv"), &format!("line,order,amount\n{rows}\n"));
    let built = async |as_of: &str| {
        let computed = computed(&folder.build(as_of).await);
        (computed, folder.query("select concat(name, ' ', goods) from customer").await.join("; "))
    };
    let both = || vec!["+pass_customer_lines".to_owned(), "+pass_customer_orders".to_owned()];
    orders("1", "1,a@x.fr,2026-05-20T00:00:00Z,10\n2,b@x.fr,2026-05-21T00:00:00Z,20");
    lines("1", "1,1,4\n2,1,6\n3,2,20");
    assert_eq!(built("2026-06-01T10:00:00Z").await.1, "Ana 10.0; Bo 20.0");

    // All lines have found their orders: new orders have nothing to do with them.
    orders("2", "3,a@x.fr,2026-05-22T00:00:00Z,5");
    lines("2", "4,3,5\n5,4,7");
    assert_eq!(built("2026-06-01T11:00:00Z").await, (both(), "Ana 15.0; Bo 20.0".into()));
    // One of them waits for an order, which comes.
    orders("3", "4,b@x.fr,2026-05-23T00:00:00Z,7");
    let (computed, goods) = built("2026-06-01T12:00:00Z").await;
    assert_eq!(
        (computed, goods),
        (vec!["+pass_customer_orders".into(), "pass_customer_lines".into()], "Ana 15.0; Bo 27.0".into())
    );
    orders("4", "5,b@x.fr,2026-05-24T00:00:00Z,1");
    lines("3", "6,5,1");
    assert_eq!(built("2026-06-01T13:00:00Z").await, (both(), "Ana 15.0; Bo 28.0".into()));
    // What rows belong to has changed.
    orders("1", "1,a@x.fr,2026-05-20T00:00:00Z,10\n2,a@x.fr,2026-05-21T00:00:00Z,20");
    let (_, goods) = built("2026-06-01T14:00:00Z").await;
    assert_eq!(goods, "Ana 35.0; Bo 8.0");
}

#[tokio::test(flavor = "multi_thread")]
async fn customers_whose_rows_are_not_those_that_they_were_are_told_anew() {
    let folder = shop();
    folder.write("models/shop.yaml", &SHOP.replace("path: orders.csv", "path: orders/*.csv"));
    let orders = |file: &str, rows: &str| {
        folder.write(&format!("orders/{file}.csv"), &format!("id,email,at,amount\n{rows}\n"));
    };
    let built = async |as_of: &str| {
        let computed = computed(&folder.build(as_of).await).join(" ");
        assert!(computed.contains("+pass_customer_orders"), "{computed}");
        folder.query("select concat(name, ' ', revenue) from customer").await.join("; ")
    };
    orders("1", "1,a@x.fr,2026-05-20T00:00:00Z,10\n2,b@x.fr,2026-05-21T00:00:00Z,20\n3,c@x.fr,2026-05-21T00:00:00Z,40");
    folder.build("2026-06-01T10:00:00Z").await;
    // An order has waited for somebody with its address; other orders come.
    folder.write("crm.csv", "id,email,name\n1,a@x.fr,Ana\n2,b@x.fr,Bo\n3,c@x.fr,Cy\n");
    orders("2", "4,a@x.fr,2026-05-22T00:00:00Z,1");
    assert_eq!(built("2026-06-01T11:00:00Z").await, "Ana 11.0; Bo 20.0; Cy 40.0");
    // An address goes from one to another; one is nobody's any more.
    folder.write("crm.csv", "id,email,name\n1,b@x.fr,Ana\n2,d@x.fr,Bo\n3,c@x.fr,Cy\n");
    assert_eq!(built("2026-06-01T12:00:00Z").await, "Ana 20.0; Bo 0.0; Cy 40.0");
    // Two become one, and two again.
    folder.write("crm.csv", "id,email,name\n1,b@x.fr,Ana\n2,d@x.fr,Bo\n3,c@x.fr,Cy\n4,c@x.fr,Cy\n5,d@x.fr,Bo\n");
    assert_eq!(built("2026-06-01T13:00:00Z").await, "Ana 20.0; Bo 0.0; Cy 40.0");
    folder.write("crm.csv", "id,email,name\n1,b@x.fr,Ana\n2,d@x.fr,Bo\n3,c@x.fr,Cy\n4,c@x.fr,Cy\n5,b@x.fr,Bo\n");
    orders("3", "5,d@x.fr,2026-05-22T00:00:00Z,3");
    assert_eq!(built("2026-06-01T14:00:00Z").await, "Ana 20.0; Bo 3.0; Cy 40.0");
    folder.write("crm.csv", "id,email,name\n1,b@x.fr,Ana\n2,c@x.fr,Bo\n3,c@x.fr,Cy\n4,c@x.fr,Cy\n5,b@x.fr,Bo\n");
    let again = built("2026-06-01T15:00:00Z").await;
    anew(&folder, "2026-06-01T15:00:01Z").await;
    assert_eq!(folder.query("select concat(name, ' ', revenue) from customer").await.join("; "), again);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_of_nobody_that_happens_later_waits_for_somebody_all_the_same() {
    let folder = shop();
    let rows = "1,a@x.fr,2026-05-20T00:00:00Z,10\n2,z@x.fr,2026-06-01T10:30:00Z,9";
    folder.write("orders.csv", &format!("id,email,at,amount\n{rows}\n"));
    let revenue = async || folder.query("select concat(name, ' ', revenue) from customer").await.join("; ");
    folder.build("2026-06-01T10:00:00Z").await;
    assert_eq!(computed(&folder.build("2026-06-01T11:00:00Z").await), ["+pass_customer_orders"]);
    assert_eq!(revenue().await, "Ana 10.0; Bo 0.0");
    folder.write("crm.csv", "id,email,name\n1,a@x.fr,Ana\n2,b@x.fr,Bo\n3,z@x.fr,Zoe\n");
    assert_eq!(computed(&folder.build("2026-06-01T12:00:00Z").await), ["+pass_customer_orders", "customer_golden"]);
    assert_eq!(revenue().await, "Ana 10.0; Bo 0.0; Zoe 9.0");
}
