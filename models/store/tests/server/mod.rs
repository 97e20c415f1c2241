//! An HTTP server that answers each request with what a test planned for it, and
//! remembers what it was asked.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// What the server does with a request.
#[derive(Clone)]
pub(crate) enum Reply {
    /// These bytes, with these lines of the head, and the connection ends.
    Send { status: &'static str, head: Vec<String>, body: Vec<u8> },
    /// The same, with the connection left open.
    Unending { status: &'static str, head: Vec<String>, body: Vec<u8> },
    /// Nothing, with the connection left open.
    Silence,
}

/// The lines of a request's head: `GET /path HTTP/1.1` first.
pub(crate) type Request = Vec<String>;
type Plan = dyn Fn(&Request, usize) -> Reply + Send + Sync;

/// A server on a port of its own; ends with the process.
pub(crate) struct Server {
    port: u16,
    asked: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    /// Answers the nth request, counted from 0, as `plan` says.
    pub(crate) fn new(plan: impl Fn(&Request, usize) -> Reply + Send + Sync + 'static) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (log, plan): (_, Arc<Plan>) = (Arc::clone(&asked), Arc::new(plan));
        thread::spawn(move || {
            let mut open = Vec::new();
            for stream in listener.incoming().map_while(Result::ok) {
                let Some(request) = read(&stream) else { continue };
                let count = log.lock().unwrap().len();
                log.lock().unwrap().push(request.clone());
                match plan(&request, count) {
                    Reply::Send { status, head, body } => send(&stream, &request, status, &head, &body),
                    Reply::Unending { status, head, body } => {
                        send(&stream, &request, status, &head, &body);
                        open.push(stream);
                    }
                    Reply::Silence => open.push(stream),
                }
            }
        });
        Server { port, asked }
    }

    /// The base address.
    pub(crate) fn base(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The first lines of all requests, without the version.
    pub(crate) fn asked(&self) -> Vec<String> {
        let asked = self.asked.lock().unwrap();
        asked.iter().map(|request| request[0].trim_end_matches(" HTTP/1.1").to_owned()).collect()
    }

    /// A header of the nth request.
    pub(crate) fn header(&self, n: usize, name: &str) -> Option<String> {
        header(&self.asked.lock().unwrap()[n], name)
    }
}

/// A header of a request.
pub(crate) fn header(request: &Request, name: &str) -> Option<String> {
    let mut pairs = request.iter().skip(1).filter_map(|line| line.split_once(": "));
    pairs.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned())
}

fn read(stream: &TcpStream) -> Option<Request> {
    let lines = BufReader::new(stream).lines();
    let lines: Vec<_> = lines.map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
    (!lines.is_empty()).then_some(lines)
}

fn send(mut stream: &TcpStream, request: &Request, status: &str, head: &[String], body: &[u8]) {
    let mut answer = format!("HTTP/1.1 {status}\r\nConnection: close\r\n");
    for line in head {
        answer += &format!("{line}\r\n");
    }
    answer += "\r\n";
    let mut bytes = answer.into_bytes();
    if !request[0].starts_with("HEAD ") {
        bytes.extend_from_slice(body);
    }
    // Who asked may have gone away already.
    let _ = stream.write_all(&bytes);
}

/// An answer without a body.
pub(crate) fn status(status: &'static str) -> Reply {
    Reply::Send { status, head: vec!["Content-Length: 0".into()], body: Vec::new() }
}

/// The file as a good server sends it: with an ETag, and the rest where that is
/// asked for.
pub(crate) fn file(request: &Request, body: &[u8], etag: &str) -> Reply {
    let mut head = vec![format!("ETag: {etag}")];
    let range =
        header(request, "Range").filter(|_| header(request, "If-Range").is_none_or(|known| known == etag));
    let start: Option<usize> =
        range.and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok());
    match start {
        None => {
            head.push(format!("Content-Length: {}", body.len()));
            Reply::Send { status: "200 OK", head, body: body.to_vec() }
        }
        Some(start) if start >= body.len() => status("416 Range Not Satisfiable"),
        Some(start) => {
            let end = body.len();
            head.push(format!("Content-Range: bytes {start}-{}/{end}", end - 1));
            head.push(format!("Content-Length: {}", end - start));
            Reply::Send { status: "206 Partial Content", head, body: body[start..].to_vec() }
        }
    }
}

/// The same, broken off after so many bytes of the body.
pub(crate) fn broken_off(reply: Reply, after: usize) -> Reply {
    match reply {
        Reply::Send { status, head, mut body } => {
            body.truncate(after);
            Reply::Send { status, head, body }
        }
        other => other,
    }
}

/// The same with another line in its head.
pub(crate) fn with(reply: Reply, line: &str) -> Reply {
    match reply {
        Reply::Send { status, mut head, body } => {
            let name = line.split_once(':').unwrap().0.to_owned() + ":";
            head.retain(|old| !old.starts_with(&name));
            head.push(line.to_owned());
            Reply::Send { status, head, body }
        }
        other => other,
    }
}

/// The same, with a connection that does not end.
pub(crate) fn unending(reply: Reply) -> Reply {
    match reply {
        Reply::Send { status, head, body } => Reply::Unending { status, head, body },
        other => other,
    }
}
