//! An HTTP server on loopback that hands every operation to a function of the test.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use serde_json::{Value, json};

/// Runs until it is dropped.
pub(crate) struct Bridge {
    address: SocketAddr,
    endpoint: String,
    stopping: Arc<AtomicBool>,
    server: Option<JoinHandle<()>>,
}

impl Bridge {
    /// `answer` gets the operation and the request, and gives the status and the body.
    pub(crate) fn start(answer: impl Fn(&str, Value) -> (u16, Value) + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let stopping = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&stopping);
        let server = thread::spawn(move || {
            for stream in listener.incoming() {
                if stop.load(Ordering::Acquire) {
                    break;
                }
                serve(&stream.unwrap(), &answer);
            }
        });
        Self { address, endpoint: format!("http://{address}"), stopping, server: Some(server) }
    }

    pub(crate) fn endpoint(&self) -> &str {
        &self.endpoint
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::Release);
        // Wakes the server, so that it sees the flag.
        drop(TcpStream::connect(self.address));
        if let Some(server) = self.server.take() {
            assert!(server.join().is_ok() || thread::panicking(), "a check inside the bridge failed");
        }
    }
}

/// A refusal as the bridge answers it.
pub(crate) fn refuse(kind: &str, message: &str) -> (u16, Value) {
    (400, json!({ "__type": kind, "message": message }))
}

fn serve(mut stream: &TcpStream, answer: &impl Fn(&str, Value) -> (u16, Value)) {
    let mut lines = BufReader::new(stream);
    let (mut operation, mut length, mut is_signed) = (String::new(), 0, false);
    loop {
        let mut line = String::new();
        if lines.read_line(&mut line).unwrap_or(0) == 0 {
            return;
        }
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(": ").unwrap_or((line, ""));
        match name.to_ascii_lowercase().as_str() {
            "x-amz-target" => operation = value.strip_prefix("AmazonSSM.").unwrap().to_owned(),
            "content-length" => length = value.parse().unwrap(),
            "authorization" => is_signed = value.starts_with("AWS4-HMAC-SHA256 Credential="),
            _ => {}
        }
    }
    assert!(is_signed, "{operation} came without a signature");
    let mut body = vec![0; length];
    lines.read_exact(&mut body).unwrap();
    let (status, body) = answer(&operation, serde_json::from_slice(&body).unwrap());
    let body = body.to_string();
    let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
    // A client that was interrupted may be gone.
    drop(stream.write_all((head + &body).as_bytes()));
}
