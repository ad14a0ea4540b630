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
    /// `answer` gets the operation and the request, and gives the status and the body; with the status 0 the connection breaks. An operation with an address of its own is named
    /// by its path and query.
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
    let (mut operation, mut length, mut service) = (String::new(), 0, None);
    loop {
        let mut line = String::new();
        if lines.read_line(&mut line).unwrap_or(0) == 0 {
            return;
        }
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        if let Some(address) = line.strip_prefix("POST ").and_then(|rest| rest.strip_suffix(" HTTP/1.1")) {
            operation = address.to_owned();
            continue;
        }
        // A link: fetched without a signature, and named with its method.
        if let Some(link) = line.strip_prefix("GET ").and_then(|rest| rest.strip_suffix(" HTTP/1.1")) {
            operation = format!("GET {link}");
            continue;
        }
        let (name, value) = line.split_once(": ").unwrap_or((line, ""));
        match name.to_ascii_lowercase().as_str() {
            "x-amz-target" => operation = value.split_once('.').unwrap().1.to_owned(),
            "content-length" => length = value.parse().unwrap(),
            "authorization" => {
                let credential = value.strip_prefix("AWS4-HMAC-SHA256 Credential=").unwrap();
                service = credential.split('/').nth(3).map(str::to_owned);
            }
            _ => {}
        }
    }
    let expected = match operation.get(..1) {
        _ if operation.starts_with("GET ") => None,
        Some("/") => Some("resource-groups"),
        _ => Some("ssm"),
    };
    assert_eq!(service.as_deref(), expected, "{operation} is signed for its service");
    let mut body = vec![0; length];
    lines.read_exact(&mut body).unwrap();
    let (status, body) = answer(&operation, if body.is_empty() { Value::Null } else { serde_json::from_slice(&body).unwrap() });
    if status == 0 {
        return;
    }
    // Where services with addresses of their own name the error; the others name it in the body only.
    let error = body["__type"].as_str().filter(|_| operation.starts_with('/')).map(|kind| format!("x-amzn-errortype: {kind}\r\n"));
    // What a link gives is text.
    let body = body.as_str().map_or_else(|| body.to_string(), str::to_owned);
    let head = format!("HTTP/1.1 {status} X\r\n{}content-length: {}\r\nconnection: close\r\n\r\n", error.unwrap_or_default(), body.len());
    // A client that was interrupted may be gone.
    drop(stream.write_all((head + &body).as_bytes()));
}
