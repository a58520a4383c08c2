//! Prism: a server that answers as a description of an API says, and refuses what it does not allow.

use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use cohorte::connector::Request;

use crate::fakes::http::exchange;

/// A server that is stopped when it is dropped.
pub(super) struct Prism {
    process: Child,
    port: u16,
}

/// What it says.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// Why a request is refused: read where a test fails.
    #[expect(dead_code, reason = "read by Debug")]
    pub(super) why: String,
}

impl Prism {
    /// Starts it on a description, on a free port.
    pub(super) fn start(description: &Path) -> Self {
        let prism = std::env::var("COHORTE_TEST_PRISM").expect(
            "COHORTE_TEST_PRISM names the executable `prism` (npm @stoplight/prism-cli): run tests/run, or set it",
        );
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let process = Command::new(prism)
            .args(["mock", "-h", "127.0.0.1", "-p", &port.to_string()])
            .arg(description)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("prism starts");
        let mut prism = Self { process, port };
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(prism.process.try_wait().unwrap().is_none(), "prism ended: {}", description.display());
            assert!(begun.elapsed() < Duration::from_mins(2), "prism does not listen");
            std::thread::sleep(Duration::from_millis(100));
        }
        prism
    }

    /// Sends a request with another body.
    pub(super) fn ask(&self, request: &Request, path: &str, body: &[u8]) -> Answer {
        let mut headers = request.headers.clone();
        // What says who sends it is not what is looked at here; tests that are not about it have none.
        if !headers.iter().any(|(name, _)| name == "authorization") {
            headers.push(("authorization".to_owned(), "Bearer example".to_owned()));
        }
        let url = format!("http://127.0.0.1:{}{path}", self.port);
        let reply = exchange(request.method.name(), &url, &headers, body).expect("prism answers");
        let why = reply.headers.into_iter().find(|(name, _)| name == "sl-violations").map(|(_, why)| why);
        Answer { status: reply.status, why: why.unwrap_or_else(|| String::from_utf8_lossy(&reply.body).into_owned()) }
    }
}

impl Drop for Prism {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
