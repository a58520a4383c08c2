//! Where rows go: reads requests, counts their rows, and says that all is well.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::say;

static ROWS: AtomicU64 = AtomicU64::new(0);

/// Says where it is; when nobody speaks to it any more, how many rows it got.
pub(crate) fn serve(latency: u64) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    say(&format!("http://{}/", listener.local_addr().unwrap()));
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            std::thread::spawn(move || stream.map(|stream| converse(stream, Duration::from_millis(latency))));
        }
    });
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
    say(&ROWS.load(Ordering::SeqCst).to_string());
}

/// None when the client has gone.
fn converse(stream: TcpStream, latency: Duration) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let mut out = stream.try_clone().ok()?;
    let mut reader = BufReader::with_capacity(1 << 17, stream);
    let (mut line, mut body) = (String::new(), Vec::new());
    loop {
        let mut length = 0;
        loop {
            line.clear();
            if reader.read_line(&mut line).ok()? == 0 {
                return None;
            }
            if line.trim_end().is_empty() {
                break;
            }
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse().ok()?;
            }
        }
        body.resize(length, 0);
        reader.read_exact(&mut body).ok()?;
        let rows = body.windows(8).filter(|window| *window == b"{\"key\":{").count();
        ROWS.fetch_add(rows as u64, Ordering::SeqCst);
        std::thread::sleep(latency);
        out.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").ok()?;
    }
}
