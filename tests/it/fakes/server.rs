//! A server that behaves like a vendor, keeps what it is told, and fails as it is told. A connection's `url:` is its `url()`.

use std::io::BufReader;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use serde_json::json;

use super::faults::{Fault, Faults};
use super::http::{Asked, Reply, read_request};

/// A vendor: its state, and how it answers.
pub(crate) trait Vendor: Send + 'static {
    /// Answers a request, with effect. `upset`: not this time, in the vendor's own words; a vendor that has none may do as usual.
    fn answer(&mut self, asked: &Asked, upset: bool) -> Reply;

    /// What says who clients are expires now, where it does.
    fn expire(&mut self) {}
}

/// A running server; it ends when it is dropped.
pub(crate) struct Fake<V: Vendor> {
    address: SocketAddr,
    vendor: Arc<Mutex<V>>,
    faults: Arc<Mutex<Faults>>,
    ends: Arc<AtomicBool>,
}

impl<V: Vendor> Fake<V> {
    /// Starts one on a free port.
    pub(crate) fn start(vendor: V, faults: Faults) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let fake = Self {
            address: listener.local_addr().unwrap(),
            vendor: Arc::new(Mutex::new(vendor)),
            faults: Arc::new(Mutex::new(faults)),
            ends: Arc::new(AtomicBool::new(false)),
        };
        let (vendor, faults, ends) = (Arc::clone(&fake.vendor), Arc::clone(&fake.faults), Arc::clone(&fake.ends));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if ends.load(Ordering::SeqCst) {
                    return;
                }
                let (vendor, faults) = (Arc::clone(&vendor), Arc::clone(&faults));
                std::thread::spawn(move || stream.map(|stream| converse(stream, &vendor, &faults)));
            }
        });
        fake
    }

    /// Where it is.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What is really there.
    pub(crate) fn state(&self) -> MutexGuard<'_, V> {
        self.vendor.lock().unwrap()
    }

    /// From now on these faults.
    pub(crate) fn fail(&self, faults: Faults) {
        *self.faults.lock().unwrap() = faults;
    }
}

impl<V: Vendor> Drop for Fake<V> {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::SeqCst);
        // Wakes the thread that listens.
        let _ = TcpStream::connect(self.address);
    }
}

/// Answers the requests of one connection. What goes wrong here is the client's leaving.
fn converse<V: Vendor>(stream: TcpStream, vendor: &Mutex<V>, faults: &Mutex<Faults>) -> Option<()> {
    let mut out = stream.try_clone().ok()?;
    let mut reader = BufReader::new(stream);
    while let Some(asked) = read_request(&mut reader).ok()? {
        let fault = faults.lock().unwrap().next();
        let done = |upset: bool| vendor.lock().unwrap().answer(&asked, upset);
        let html = || Reply {
            status: 200,
            headers: vec![("content-type".to_owned(), "text/html".to_owned())],
            body: b"<html><body>The site is being maintained.</body></html>".to_vec(),
        };
        let reply = match fault {
            Fault::None => done(false),
            Fault::Upset => done(true),
            Fault::Throttled { retry_after } => {
                let mut reply = Reply::json(429, &json!({"detail": "too many requests"}));
                if retry_after {
                    reply.headers.push(("retry-after".to_owned(), "1".to_owned()));
                }
                reply
            }
            Fault::Failed { done: is_done } => {
                if is_done {
                    done(false);
                }
                Reply::json(500, &json!({"detail": "sorry"}))
            }
            Fault::Storm => Reply::empty(503),
            Fault::Reset { done: is_done } => {
                if is_done {
                    done(false);
                }
                return None;
            }
            Fault::Truncated => {
                let reply = done(false);
                reply.write(&mut out, reply.body.len() / 2).ok()?;
                return None;
            }
            Fault::Html { done: is_done } => {
                if is_done {
                    done(false);
                }
                html()
            }
            Fault::Slow => {
                let reply = done(false);
                std::thread::sleep(Duration::from_millis(50));
                reply
            }
            Fault::Expired => {
                vendor.lock().unwrap().expire();
                done(false)
            }
        };
        reply.write(&mut out, usize::MAX).ok()?;
        if asked.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close")) {
            return None;
        }
    }
    Some(())
}
