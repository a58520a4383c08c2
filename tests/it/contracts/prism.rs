//! Prism: a server that answers as a description of an API says, and refuses what it does not allow.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use cohorte::connector::Request;

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
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
        let path = if path.is_empty() { "/" } else { path };
        let mut head = format!("{} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n", request.method.name());
        for (name, value) in &request.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str(&format!("content-length: {}\r\n\r\n", body.len()));
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(body).unwrap();
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let status = line.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_else(|| panic!("{line}"));
        let mut rest = Vec::new();
        reader.read_to_end(&mut rest).unwrap();
        Answer { status, why: String::from_utf8_lossy(&rest).into_owned() }
    }
}

impl Drop for Prism {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
