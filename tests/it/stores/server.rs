//! Servers that speak S3 (moto) and Azure's blobs (Azurite), each on a port of its own, and files that are put there.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::TryStreamExt;
use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};
use tempfile::TempDir;

/// What no output may hold.
pub(super) const SECRET: &str = "geheim";
/// Azurite's key: everybody knows it, and it is no more to be seen than another.
const AZURITE_KEY: &str = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

pub(super) fn python() -> String {
    std::env::var("COHORTE_TEST_PYTHON")
        .expect("these tests need COHORTE_TEST_PYTHON: a Python with tests/oracle/requirements.txt; tests/run makes it")
}

/// A server with a bucket, or container, called `lake`.
pub(super) struct Server {
    process: Child,
    _folder: TempDir,
    /// The URL of the bucket.
    pub(super) root: &'static str,
    /// What reaches it.
    pub(super) environment: Vec<(&'static str, String)>,
    store: Arc<dyn ObjectStore>,
}

impl Server {
    pub(super) fn s3() -> Self {
        let (folder, port) = (tempfile::tempdir().unwrap(), free_port());
        let mut command = Command::new(python());
        command.args(["-m", "moto.server", "-H", "127.0.0.1", "-p", &port.to_string()]);
        let process = start(command, port);
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        write!(stream, "PUT /lake HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
            .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.contains(" 200 "), "{answer}");
        let url = format!("http://127.0.0.1:{port}");
        let store = AmazonS3Builder::new()
            .with_bucket_name("lake")
            .with_endpoint(&url)
            .with_allow_http(true)
            .with_access_key_id("somebody")
            .with_secret_access_key(SECRET)
            .build();
        let environment = vec![
            ("AWS_ENDPOINT_URL", url),
            ("AWS_ALLOW_HTTP", "true".to_owned()),
            ("AWS_ACCESS_KEY_ID", "somebody".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", SECRET.to_owned()),
            ("AWS_REGION", "us-east-1".to_owned()),
        ];
        Self { process, _folder: folder, root: "s3://lake", environment, store: Arc::new(store.unwrap()) }
    }

    pub(super) fn azure() -> Self {
        let azurite = std::env::var("COHORTE_TEST_AZURITE")
            .expect("this test needs COHORTE_TEST_AZURITE: the program azurite-blob; tests/run installs it with npm");
        let (folder, port) = (tempfile::tempdir().unwrap(), free_port());
        let mut command = Command::new(azurite);
        command.args(["--silent", "--skipApiVersionCheck", "--disableTelemetry", "--blobHost", "127.0.0.1"]);
        command.args(["--blobPort", &port.to_string(), "--location"]).arg(folder.path());
        let process = start(command, port);
        let url = format!("http://127.0.0.1:{port}");
        let made = Command::new(python())
            .args([concat!(env!("CARGO_MANIFEST_DIR"), "/tests/oracle/container.py"), &url, "lake"])
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let store = MicrosoftAzureBuilder::new()
            .with_container_name("lake")
            .with_account("devstoreaccount1")
            .with_access_key(AZURITE_KEY)
            .with_endpoint(format!("{url}/devstoreaccount1"))
            .with_allow_http(true)
            .build();
        let environment = vec![("AZURE_STORAGE_USE_EMULATOR", "true".to_owned()), ("AZURITE_BLOB_STORAGE_URL", url)];
        Self { process, _folder: folder, root: "az://lake", environment, store: Arc::new(store.unwrap()) }
    }

    /// Writes a file.
    pub(super) fn put(&self, path: &str, contents: impl Into<PutPayload>) {
        block_on(self.store.put(&Path::from(path), contents.into())).unwrap();
    }

    /// The text of a file.
    pub(super) fn get(&self, path: &Path) -> String {
        let bytes = block_on(async { self.store.get(path).await?.bytes().await }).unwrap();
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    /// The files below a folder.
    pub(super) fn list(&self, folder: &str) -> Vec<Path> {
        let folder = Path::from(folder);
        let files: Vec<_> = block_on(self.store.list(Some(&folder)).try_collect()).unwrap();
        files.into_iter().map(|file: object_store::ObjectMeta| file.location).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn start(mut command: Command, port: u16) -> Child {
    let mut process = command.stdout(Stdio::null()).stderr(Stdio::null()).stdin(Stdio::null()).spawn().unwrap();
    let started = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(process.try_wait().unwrap().is_none(), "{command:?} has ended");
        assert!(started.elapsed() < Duration::from_mins(1), "{command:?} does not answer");
        std::thread::sleep(Duration::from_millis(50));
    }
    process
}

/// What was said, after a look for what may not be said.
pub(super) fn said(output: &Output) -> (Option<i32>, String) {
    let text = format!("{}\n{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    for secret in [SECRET, AZURITE_KEY] {
        assert!(!text.contains(secret), "a secret:\n{text}");
    }
    assert!(!text.contains("panicked"), "a panic:\n{text}");
    (output.status.code(), text)
}
