//! The `postgres` destination against a real server: `COHORTE_TEST_POSTGRES_URL=$(tests/postgres/start)`.

use std::sync::Arc;

use cohorte::sync::destination::{Batch, Destination, Operation, Outcome, Target};
use cohorte::sync::postgres::Postgres;
use datafusion::arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int64Array, ListBuilder, StringViewArray,
    StringViewBuilder, TimestampMicrosecondArray,
};
use datafusion::arrow::datatypes::{DataType, TimeUnit};
use datafusion::arrow::record_batch::RecordBatch;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

mod executable;
mod server;

use server::{Server, accepted, batch, code, destination, people, url};

#[tokio::test]
async fn a_missing_table_is_made_and_rows_come_change_and_go() {
    let server = Server::with_schema("t_lifecycle").await;
    let (mut destination, target) = (destination(), server.target());
    destination.prepare(&target).await.unwrap();
    destination.prepare(&target).await.unwrap();
    let comment = server.ask("select obj_description('SCHEMA.people'::regclass)").await;
    assert_eq!(comment, "Written by the cohorte sync people");

    let add = batch(Operation::Add, &[("a", Some(1)), ("b", None), ("c'\"\\", Some(3))]);
    assert_eq!(destination.send(&target, &add).await.unwrap().outcomes, vec![accepted(); 3]);
    assert_eq!(
        destination.send(&target, &add).await.unwrap().outcomes,
        vec![accepted(); 3],
        "a batch may be sent again"
    );
    let update = batch(Operation::Update, &[("a", Some(2))]);
    assert_eq!(destination.send(&target, &update).await.unwrap().outcomes, [accepted()]);
    assert_eq!(server.people().await, r#"(a,2) (b,) ("c'""\\",3)"#);

    let clear = batch(Operation::Clear, &[("a", None), ("nobody", None)]);
    assert_eq!(destination.send(&target, &clear).await.unwrap().outcomes, [accepted(), Outcome::Unchanged]);
    let remove = batch(Operation::Remove, &[("nobody", None), ("b", None)]);
    assert_eq!(destination.send(&target, &remove).await.unwrap().outcomes, [Outcome::Unchanged, accepted()]);
    assert_eq!(server.people().await, r#"(a,) ("c'""\\",3)"#);
}

#[tokio::test]
async fn modes_decide_who_is_created_and_who_is_changed() {
    let server = Server::with_schema("t_modes").await;
    server
        .run("create table SCHEMA.people (email text unique, orders bigint); insert into SCHEMA.people values ('a', 1)")
        .await;
    let rows = batch(Operation::Add, &[("new", Some(9)), ("a", Some(9))]);

    let destination = destination();
    let update_only = Target { may_create: false, ..server.target() };
    assert_eq!(destination.send(&update_only, &rows).await.unwrap().outcomes, [Outcome::Unchanged, accepted()]);
    assert_eq!(server.people().await, "(a,9)");

    server.run("update SCHEMA.people set orders = 1").await;
    let insert_only = Target { may_update: false, ..server.target() };
    assert_eq!(destination.send(&insert_only, &rows).await.unwrap().outcomes, [accepted(), Outcome::Unchanged]);
    assert_eq!(server.people().await, "(a,1) (new,9)");
}

#[tokio::test]
async fn a_refused_row_does_not_sink_the_others_and_its_values_are_not_told() {
    let server = Server::with_schema("t_refused").await;
    server
        .run(
            "create table SCHEMA.people (email varchar(12) primary key, orders int check (orders < 1000), \
             unique (orders) deferrable initially deferred)",
        )
        .await;
    let (destination, target) = (destination(), server.target());
    let rows: Vec<(String, Option<i64>)> = (0..500)
        .map(|number| match number {
            7 => ("far too long for it".to_owned(), Some(7)),
            8 => ("nul\0".to_owned(), Some(8)),
            250 => ("p250".to_owned(), Some(99_999_999_999)),
            251 => ("p251".to_owned(), Some(5000)),
            // A constraint that waits for the end of the transaction must still tell which row it was.
            499 => ("p499".to_owned(), Some(1)),
            _ => (format!("p{number}"), Some(number)),
        })
        .collect();
    let rows: Vec<_> = rows.iter().map(|(email, orders)| (email.as_str(), *orders)).collect();
    let outcomes = destination.send(&target, &batch(Operation::Add, &rows)).await.unwrap().outcomes;
    for (row, expected) in [(7, "22001"), (8, "22021"), (250, "22003"), (251, "23514"), (499, "23505")] {
        assert_eq!(code(&outcomes[row]), expected, "{row}");
    }
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == accepted()).count(), 495);
    assert_eq!(server.ask("select count(*)::text from SCHEMA.people").await, "495");
    let told = format!("{outcomes:?}");
    for value in ["far too long", "99999999999", "5000", "p499", "p251"] {
        assert!(!told.contains(value), "{value} is told: {told}");
    }
    assert!(told.contains("people_orders_check"), "the constraint is named");
}

#[tokio::test]
async fn rows_without_a_key_and_rows_that_a_trigger_takes_away_are_rejected() {
    let server = Server::with_schema("t_trigger").await;
    server
        .run(
            "create table SCHEMA.people (email text primary key, orders bigint); \
             create function SCHEMA.guard() returns trigger language plpgsql as $$ begin \
               if new.email = 'boom' then raise exception 'secret %', new.email; end if; \
               if new.email = 'gone' then return null; end if; return new; end $$; \
             create trigger guard before insert on SCHEMA.people for each row execute function SCHEMA.guard()",
        )
        .await;
    let (destination, target) = (destination(), server.target());
    let rows = people(&[(None, Some(1)), (Some("ok"), Some(2)), (Some("boom"), Some(3)), (Some("gone"), Some(4))]);
    let batch = Batch { operation: Operation::Add, id: "b".to_owned(), ids: vec![None; rows.num_rows()], rows };
    let outcomes = destination.send(&target, &batch).await.unwrap().outcomes;
    assert_eq!(code(&outcomes[0]), "null_key");
    assert_eq!(outcomes[1], accepted());
    assert_eq!(code(&outcomes[2]), "P0001");
    assert_eq!(code(&outcomes[3]), "suppressed");
    assert!(!format!("{outcomes:?}").contains("secret"));
    assert_eq!(server.people().await, "(ok,2)");
}

#[tokio::test]
async fn every_type_reaches_a_table_of_ours_and_a_mapped_one() {
    let server = Server::with_schema("t_types").await;
    let mut tags = ListBuilder::new(StringViewBuilder::new());
    tags.append_value([Some("a,\"b\""), None, Some("")]);
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("email", Arc::new(StringViewArray::from(vec!["é\u{1F600}"]))),
        ("whole", Arc::new(Int64Array::from(vec![i64::MIN]))),
        ("number", Arc::new(Float64Array::from(vec![0.1]))),
        ("exact", Arc::new(Decimal128Array::from(vec![1_234_500_000_000]).with_precision_and_scale(38, 9).unwrap())),
        ("yes", Arc::new(BooleanArray::from(vec![true]))),
        ("day", Arc::new(Date32Array::from(vec![19_782]))),
        ("at", Arc::new(TimestampMicrosecondArray::from(vec![1_709_164_800_123_456]).with_timezone("UTC"))),
        ("tags", Arc::new(tags.finish())),
    ];
    let rows = RecordBatch::try_from_iter(columns).unwrap();
    assert_eq!(rows.schema().field(6).data_type(), &DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())));
    let target = Target { schema: rows.schema(), clear: Vec::new(), ..server.target() };
    let batch = Batch { operation: Operation::Add, id: "b".to_owned(), ids: vec![None; rows.num_rows()], rows };
    server.run("create type SCHEMA.face as enum ('é😀', 'no'); create domain SCHEMA.money as numeric(20,2) check (value > 0)").await;
    let expected =
        "é😀|-9223372036854775808|0.1|1234.5|true|2024-02-29|2024-02-29 00:00:00.123456+00|{\"a,\\\"b\\\"\",NULL,\"\"}";
    let ask = "select concat_ws('|', email, whole, number, trim_scale(exact), yes::text, day, at at time zone 'UTC' || '+00', tags) from SCHEMA.people";
    for table in [
        None,
        Some(
            "drop table SCHEMA.people; create table SCHEMA.people (email SCHEMA.face primary key, whole numeric, number float8, \
             exact SCHEMA.money, yes text, day text, at timestamptz, tags varchar(9)[])",
        ),
    ] {
        if let Some(sql) = table {
            server.run(sql).await;
        }
        let destination = destination();
        for _ in 0..2 {
            assert_eq!(destination.send(&target, &batch).await.unwrap().outcomes, [accepted()], "{table:?}");
        }
        assert_eq!(server.ask(ask).await, expected, "{table:?}");
    }
}

#[tokio::test]
async fn a_table_that_another_program_made_otherwise_is_refused_before_anything_is_sent() {
    let server = Server::with_schema("t_unfit").await;
    for (sql, told) in [
        ("create table SCHEMA.people (email text primary key)", "no column `orders`"),
        ("create table SCHEMA.people (email text primary key, orders boolean)", "does not take `bigint`"),
        ("create table SCHEMA.people (email text, orders bigint)", "no unique constraint"),
        ("create table SCHEMA.people (email text, orders bigint, unique (email, orders))", "no unique constraint"),
        (
            "create table SCHEMA.people (email text, orders bigint); create unique index on SCHEMA.people (email) where orders > 1",
            "no unique",
        ),
        ("create table SCHEMA.people (email text unique deferrable, orders bigint)", "no unique constraint"),
        ("create table SCHEMA.people (email text unique, orders bigint not null)", "to be cleared"),
        ("create table SCHEMA.people (email text unique, orders bigint, x int not null)", "`x` is `not null`"),
        ("create table SCHEMA.people (email text unique, orders bigint generated always as (1) stored)", "computed"),
        ("create view SCHEMA.people as select 'a' as email, 1 as orders", "not a table"),
    ] {
        server.run(&format!("drop schema SCHEMA cascade; create schema SCHEMA; {sql}")).await;
        let failure = destination().prepare(&server.target()).await.unwrap_err();
        assert_eq!((failure.code, failure.exit_code()), ("E604", 1), "{sql}");
        assert!(failure.cause.contains(told) && !failure.help.is_empty(), "{sql}: {failure:?}");
        assert!(failure.doing.contains("t_unfit.people"), "{failure:?}");
        assert!(!format!("{failure:?}").contains("cohorte:cohorte"), "the password is told");
    }
    server.run("drop schema SCHEMA cascade").await;
    let failure = destination().prepare(&server.target()).await.unwrap_err();
    assert!(failure.cause.contains("schema does not exist"), "{failure:?}");
}

#[tokio::test]
async fn a_user_without_rights_is_told_which_ones() {
    let server = Server::with_schema("t_rights").await;
    server
        .run(
            "create table SCHEMA.people (email text unique, orders bigint); \
             do $$ begin create role t_reader login password 'x'; exception when duplicate_object then null; end $$; \
             grant usage on schema SCHEMA to t_reader; grant select on SCHEMA.people to t_reader",
        )
        .await;
    let url = url().replace("cohorte:cohorte", "t_reader:x");
    let failure = Postgres::new("dwh", &url).unwrap().prepare(&server.target()).await.unwrap_err();
    assert!(failure.cause.contains("may not insert, update"), "{failure:?}");
}

#[tokio::test]
async fn a_wrong_password_and_a_missing_database_say_what_to_do() {
    let server = Server::with_schema("t_auth").await;
    let wrong = url().replace("cohorte:cohorte", "cohorte:hunter2");
    let failure = Postgres::new("dwh", &wrong).unwrap().prepare(&server.target()).await.unwrap_err();
    assert_eq!(failure.code, "W602");
    assert!(failure.help.contains("password") && !format!("{failure:?}").contains("hunter2"), "{failure:?}");
    let missing = url().trim_end_matches("/postgres").to_owned() + "/nowhere";
    let failure = Postgres::new("dwh", &missing).unwrap().prepare(&server.target()).await.unwrap_err();
    assert!(failure.help.contains("create the database"), "{failure:?}");
}

#[tokio::test]
async fn a_lost_connection_loses_nothing() {
    let server = Server::with_schema("t_lost").await;
    let target = server.target();
    let destination = Postgres::new("dwh", &format!("{}?application_name=t_lost", url())).unwrap();
    destination.send(&target, &batch(Operation::Add, &[("a", Some(1))])).await.unwrap();
    let ended = "select count(pg_terminate_backend(pid))::text from pg_stat_activity where application_name = 't_lost'";
    // When a client notices that its connection is dead is a matter of luck: often enough, every moment is met.
    for value in 2..40 {
        assert_eq!(server.ask(ended).await, "1", "the server ended our connection");
        // The statement that meets the dead connection fails or reconnects; the next one goes through.
        let again = batch(Operation::Add, &[("a", Some(value))]);
        let mut sent = destination.send(&target, &again).await;
        if let Err(failure) = &sent {
            assert_eq!(failure.code, "W602");
            sent = destination.send(&target, &again).await;
        }
        assert_eq!(sent.unwrap().outcomes, [accepted()]);
        assert_eq!(server.people().await, format!("(a,{value})"));
    }
}

/// Stands between us and the server, and cuts the line once it has passed a COMMIT on.
async fn cut_at_commit() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let server =
                TcpStream::connect(url().rsplit_once('@').unwrap().1.split_once('/').unwrap().0).await.unwrap();
            let (mut from_client, mut to_client) = client.into_split();
            let (mut from_server, mut to_server) = server.into_split();
            let back = tokio::spawn(async move { tokio::io::copy(&mut from_server, &mut to_client).await.map(drop) });
            let mut buffer = vec![0; 65536];
            while let Ok(length @ 1..) = from_client.read(&mut buffer).await {
                if buffer[..length].windows(7).any(|bytes| bytes == b"COMMIT\0") {
                    // The answer is not let through.
                    back.abort();
                    to_server.write_all(&buffer[..length]).await.unwrap();
                    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
                    break;
                }
                to_server.write_all(&buffer[..length]).await.unwrap();
            }
        }
    });
    port
}

#[tokio::test]
async fn a_commit_whose_answer_was_lost_is_unknown_and_may_be_sent_again() {
    let server = Server::with_schema("t_commit").await;
    let target = server.target();
    destination().prepare(&target).await.unwrap();
    let host = url().rsplit_once('@').unwrap().1.split_once('/').unwrap().0.to_owned();
    let through = url().replace(&host, &format!("127.0.0.1:{}", cut_at_commit().await));
    let cut = Postgres::new("dwh", &through).unwrap();
    let rows = people(&[(Some("a"), Some(1)), (None, Some(2))]);
    let batch = Batch { operation: Operation::Add, id: "b".to_owned(), ids: vec![None; rows.num_rows()], rows };
    let outcomes = cut.send(&target, &batch).await.unwrap().outcomes;
    assert!(matches!(&outcomes[0], Outcome::Unknown { code, .. } if code == "commit_lost"), "{outcomes:?}");
    assert_eq!(code(&outcomes[1]), "null_key", "what is known stays known");
    assert!(cut.may_resend(Operation::Add));
    assert_eq!(cut.delivered(&target, "b").await.unwrap(), None);
    // It was done all the same; not before the commit was heard of to be lost, perhaps.
    let done = async {
        while server.people().await != "(a,1)" {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), done).await.expect("the commit that was lost arrives");
    assert_eq!(destination().send(&target, &batch).await.unwrap().outcomes[0], accepted());
    assert_eq!(server.people().await, "(a,1)");
}

#[tokio::test]
async fn tls_is_spoken_with_a_server_whose_certificate_is_trusted_and_with_no_other() {
    let server = Server::with_schema("t_tls").await;
    let certificate = server.ask("select current_setting('data_directory') || '/server.crt'").await;
    let trusting = format!("{}?sslmode=verify-full&sslrootcert={certificate}", url());
    let destination = Postgres::new("dwh", &trusting).unwrap();
    let target = server.target();
    let sent = destination.send(&target, &batch(Operation::Add, &[("a", Some(1))])).await.unwrap();
    assert_eq!(sent.outcomes, [accepted()]);
    let encrypted = "select string_agg(distinct s.ssl::text, ',') from pg_stat_ssl s join pg_stat_activity a using (pid) \
                     where a.application_name = 'cohorte' and a.query_start is not null and s.ssl";
    assert_eq!(server.ask(encrypted).await, "true");
    let failure =
        Postgres::new("dwh", &format!("{}?sslmode=require", url())).unwrap().prepare(&target).await.unwrap_err();
    assert_eq!(failure.code, "W602");
    assert!(failure.cause.contains("certificate"), "{failure:?}");
}

#[tokio::test]
async fn a_statement_that_the_server_refuses_as_a_whole_does_nothing() {
    let server = Server::with_schema("t_whole").await;
    let (mut destination, target) = (destination(), server.target());
    destination.prepare(&target).await.unwrap();
    server.run("alter table SCHEMA.people drop column orders").await;
    let failure = destination.send(&target, &batch(Operation::Add, &[("a", Some(1))])).await.unwrap_err();
    assert_eq!((failure.code, failure.exit_code()), ("W603", 2));
    assert_eq!(server.ask("select count(*)::text from SCHEMA.people").await, "0");
}

#[tokio::test]
async fn thousands_of_rows_a_second_go_through() {
    let server = Server::with_schema("t_speed").await;
    let (mut destination, target) = (destination(), server.target());
    destination.prepare(&target).await.unwrap();
    let emails: Vec<String> = (0..5000).map(|number| format!("p{number}@example.com")).collect();
    let rows: Vec<_> = emails.iter().map(|email| (email.as_str(), Some(1))).collect();
    let start = std::time::Instant::now();
    for _ in 0..4 {
        let outcomes = destination.send(&target, &batch(Operation::Add, &rows)).await.unwrap().outcomes;
        assert!(outcomes.iter().all(|outcome| *outcome == accepted()));
    }
    let rate = 20_000.0 / start.elapsed().as_secs_f64();
    assert!(rate > 3_000.0, "{rate:.0} rows a second");
}

#[tokio::test]
async fn a_batch_of_nothing_but_bad_rows_is_bisected_in_seconds() {
    let server = Server::with_schema("t_all_bad").await;
    server.run("create table SCHEMA.people (email text primary key, orders bigint check (orders < 0))").await;
    let emails: Vec<String> = (0..1000).map(|number| format!("p{number}")).collect();
    let rows: Vec<_> = emails.iter().map(|email| (email.as_str(), Some(1))).collect();
    let start = std::time::Instant::now();
    let outcomes = destination().send(&server.target(), &batch(Operation::Add, &rows)).await.unwrap().outcomes;
    assert!(outcomes.iter().all(|outcome| code(outcome) == "23514"));
    assert!(start.elapsed().as_secs() < 20, "{:?}", start.elapsed());
}
