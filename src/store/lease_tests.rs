//! The lease: one holder at a time, whoever stalls, dies or cheats.

use std::fmt;

use async_trait::async_trait;
use chrono::TimeZone;
use futures::stream::BoxStream;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, PutMultipartOptions, PutOptions,
    PutPayload, PutResult,
};

use super::*;
use crate::store::testing::lake;

fn options(holder: &str, period_ms: u64) -> LeaseOptions {
    let now = Utc.with_ymd_and_hms(2026, 1, 2, 3, 4, 5).unwrap();
    LeaseOptions { period: Duration::from_millis(period_ms), heartbeat: false, ..LeaseOptions::new(holder, now) }
}

fn waiting(holder: &str, period_ms: u64) -> LeaseOptions {
    LeaseOptions { wait: Some(Duration::from_secs(20)), ..options(holder, period_ms) }
}

#[tokio::test(flavor = "multi_thread")]
async fn w406_a_second_writer_is_told_who_holds_it_until_it_is_released() {
    let (folder, lake) = lake();
    let lease = Lease::acquire(&lake, options("run a", 60_000)).await.unwrap();
    let failure = Lease::acquire(&lake, options("run b", 60_000)).await.unwrap_err();
    assert_eq!((failure.code, failure.exit_code()), ("W406", 4));
    assert_eq!(failure.cause, "run a holds it since 2026-01-02 03:04:05 UTC");
    lease.check().await.unwrap();
    lease.release().await.unwrap();
    let next = Lease::acquire(&lake, options("run b", 60_000)).await.unwrap();
    next.check().await.unwrap();
    let files = std::fs::read_dir(folder.path().join("lake/cdp/_cohorte/lease")).unwrap().count();
    assert!(files <= 4, "{files} files are left");
}

#[tokio::test(flavor = "multi_thread")]
async fn w407_a_stalled_holder_is_replaced_and_cannot_go_on() {
    let (_folder, lake) = lake();
    let stalled = Lease::acquire(&lake, options("run a", 80)).await.unwrap();
    let next = Lease::acquire(&lake, waiting("run b", 60_000)).await.unwrap();
    // Those who send ask less often, and learn it all the same.
    for failure in [stalled.check().await.unwrap_err(), stalled.watch().check().await.unwrap_err()] {
        assert_eq!((failure.code, failure.exit_code()), ("W407", 4));
        assert!(failure.cause.contains("run b"));
    }
    assert_eq!(stalled.renew().await.unwrap_err().code, "W407");
    next.check().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_holder_that_slept_through_many_generations_cannot_come_back() {
    let (_folder, lake) = lake();
    let stalled = Lease::acquire(&lake, options("run a", 40)).await.unwrap();
    let next = Lease::acquire(&lake, waiting("run b", 60_000)).await.unwrap();
    for _ in 0..20 {
        next.renew().await.unwrap();
    }
    assert_eq!(stalled.renew().await.unwrap_err().code, "W407", "its next generation was deleted long ago");
    assert_eq!(stalled.check().await.unwrap_err().code, "W407");
    next.check().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_that_outlives_its_lease_says_no() {
    let (_folder, lake) = lake();
    let lease = Lease::acquire(&lake, options("run a", 600_000)).await.unwrap();
    let watch = lease.watch();
    watch.check().await.unwrap();
    lease.release().await.unwrap();
    assert_eq!(watch.check().await.unwrap_err().code, "W407");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_heartbeat_keeps_the_lease_beyond_its_period() {
    let (_folder, lake) = lake();
    let beating = LeaseOptions { heartbeat: true, ..options("run a", 400) };
    let lease = Lease::acquire(&lake, beating).await.unwrap();
    let other = LeaseOptions { wait: Some(Duration::from_millis(1500)), ..options("run b", 400) };
    assert_eq!(Lease::acquire(&lake, other).await.unwrap_err().code, "W406");
    lease.check().await.unwrap();
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn the_lease_of_a_killed_process_is_taken_over_at_once() {
    let (_folder, lake) = lake();
    let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
    let lease = Lease::acquire(&lake, options("run a", 600_000)).await.unwrap();
    lease.state.lock().await.claim.process = Process::of(child.id());
    lease.renew().await.unwrap();
    assert_eq!(Lease::acquire(&lake, options("run b", 600_000)).await.unwrap_err().code, "W406");
    child.kill().unwrap();
    child.wait().unwrap();
    let next = Lease::acquire(&lake, options("run b", 600_000)).await.unwrap();
    next.check().await.unwrap();
    // What the store said a moment ago is trusted no longer than a moment.
    tokio::time::sleep(Duration::from_millis(601)).await;
    assert_eq!(lease.watch().check().await.unwrap_err().code, "W407");
    assert_eq!(lease.check().await.unwrap_err().code, "W407");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_at_once_exactly_one_gets_it() {
    let (_folder, lake) = lake();
    for _ in 0..5 {
        let tasks: Vec<_> = (0..16)
            .map(|n| {
                let lake = lake.clone();
                tokio::spawn(async move { Lease::acquire(&lake, options(&format!("run {n}"), 60_000)).await })
            })
            .collect();
        let mut leases = Vec::new();
        for task in tasks {
            match task.await.unwrap() {
                Ok(lease) => leases.push(lease),
                Err(failure) => assert_eq!(failure.code, "W406"),
            }
        }
        assert_eq!(leases.len(), 1);
        let lease = leases.pop().unwrap();
        lease.check().await.unwrap();
        lease.release().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn w408_a_store_that_creates_a_name_twice_is_refused() {
    let store = Arc::new(Careless(InMemory::new()));
    assert_eq!(Lease::acquire_in(store, options("run a", 1000)).await.unwrap_err().code, "W408");
    Lease::acquire_in(Arc::new(InMemory::new()), options("run a", 1000)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_was_dropped_by_a_failing_run_is_taken_over_at_once() {
    let (_folder, lake) = lake();
    drop(Lease::acquire(&lake, options("run a", 600_000)).await.unwrap());
    let next = Lease::acquire(&lake, options("run b", 600_000)).await.unwrap();
    assert_eq!(Lease::acquire(&lake, options("run c", 600_000)).await.unwrap_err().code, "W406");
    next.check().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn w412_a_lease_that_cannot_be_read() {
    let (folder, lake) = lake();
    let lease = folder.path().join("lake/cdp/_cohorte/lease");
    std::fs::create_dir_all(&lease).unwrap();
    std::fs::write(lease.join("00000000000000000007.json"), "what").unwrap();
    assert_eq!(Lease::acquire(&lake, options("run a", 1000)).await.unwrap_err().code, "W412");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_heartbeat_whose_answer_was_lost_is_still_ours() {
    let (_folder, lake) = lake();
    let lease = Lease::acquire(&lake, options("run a", 60_000)).await.unwrap();
    {
        let state = lease.state.lock().await;
        assert!(claim_generation(state.store.as_ref(), state.generation + 1, &state.claim).await.unwrap());
    }
    lease.renew().await.unwrap();
    lease.check().await.unwrap();
}

/// Overwrites what should only be created.
#[derive(Debug)]
struct Careless(InMemory);

impl fmt::Display for Careless {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("careless")
    }
}

#[async_trait]
impl ObjectStore for Careless {
    async fn put_opts(&self, path: &Path, payload: PutPayload, _: PutOptions) -> object_store::Result<PutResult> {
        self.0.put_opts(path, payload, PutOptions::default()).await
    }
    async fn put_multipart_opts(
        &self,
        path: &Path,
        options: PutMultipartOptions,
    ) -> object_store::Result<Box<dyn MultipartUpload>> {
        self.0.put_multipart_opts(path, options).await
    }
    async fn get_opts(&self, path: &Path, options: GetOptions) -> object_store::Result<GetResult> {
        self.0.get_opts(path, options).await
    }
    fn delete_stream(
        &self,
        paths: BoxStream<'static, object_store::Result<Path>>,
    ) -> BoxStream<'static, object_store::Result<Path>> {
        self.0.delete_stream(paths)
    }
    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, object_store::Result<ObjectMeta>> {
        self.0.list(prefix)
    }
    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> object_store::Result<ListResult> {
        self.0.list_with_delimiter(prefix).await
    }
    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> object_store::Result<()> {
        self.0.copy_opts(from, to, options).await
    }
}
