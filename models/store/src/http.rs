//! HTTP as the store speaks it: one question, and the kinds of answers there are.

use crate::{StoreError, Sum};
use std::io;
use std::time::Duration;
use ureq::http::{Response, StatusCode, Uri};
use ureq::{Agent, Body};

/// What an answer of a server is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The whole file follows.
    Whole,
    /// What was asked for of it follows.
    Rest,
    /// There is nothing of it where was asked.
    Beyond,
}

/// Why nothing came, or not all of it.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// It may go well the next time.
    Broken(String),
    /// It will not.
    Final(StoreError),
}

/// How long a server may be silent, and how often it is asked again.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// How long it may say nothing, before and within an answer.
    pub silence: Duration,
    /// How many times in a row nothing may come of it.
    pub tries: u32,
    /// How long to wait before the next try, after so many that came to nothing.
    pub pause: fn(u32) -> Duration,
}

impl Default for Patience {
    fn default() -> Patience {
        Patience {
            silence: Duration::from_secs(30),
            tries: 4,
            pause: |failed| Duration::from_millis(250 << failed.min(3)),
        }
    }
}

/// A client.
#[derive(Debug)]
pub struct Http {
    agent: Agent,
    pub(crate) patience: Patience,
}

/// What a hub tells of a file without sending it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) sum: Option<Sum>,
    pub(crate) size: Option<u64>,
}

impl Http {
    /// A client with this patience; proxies are those of the environment.
    pub fn new(patience: Patience) -> Http {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .user_agent(concat!("swictation/", env!("CARGO_PKG_VERSION")))
            .timeout_connect(Some(patience.silence))
            .timeout_recv_response(Some(patience.silence))
            .timeout_per_read(Some(patience.silence))
            .build();
        Http { agent: config.new_agent(), patience }
    }

    /// Asks for a file, or for what of it follows `from` as long as it is still the
    /// file with this ETag.
    pub(crate) fn get(
        &self,
        url: &str,
        from: Option<(u64, &str)>,
    ) -> Result<(Answer, Response<Body>), Trouble> {
        let mut request = self.agent.get(url).header("Accept-Encoding", "identity");
        if let Some((start, etag)) = from {
            request = request.header("Range", format!("bytes={start}-")).header("If-Range", etag);
        }
        let request = request.config();
        let request = if is_here(url) { request.proxy(None) } else { request };
        let response = request.build().call().map_err(|e| trouble(url, e))?;
        let answer = match response.status() {
            StatusCode::OK => Answer::Whole,
            StatusCode::PARTIAL_CONTENT => Answer::Rest,
            StatusCode::RANGE_NOT_SATISFIABLE => Answer::Beyond,
            status => return Err(refused(url, status)),
        };
        Ok((answer, response))
    }

    /// Asks for the head of a file: a hub says there what the file hashes to, before
    /// it sends the asker elsewhere.
    pub(crate) fn facts(&self, url: &str) -> Result<Facts, Trouble> {
        let mut place = url.to_owned();
        // A hub may move a file within itself, and then tells at the new place.
        for _ in 0..5 {
            let request = self.agent.head(&place).header("Accept-Encoding", "identity").config();
            let request = if is_here(&place) { request.proxy(None) } else { request };
            let response = request.max_redirects(0).build().call().map_err(|e| trouble(&place, e))?;
            let status = response.status();
            if !status.is_success() && !status.is_redirection() {
                return Err(refused(&place, status));
            }
            let own = |name| status.is_success().then(|| text(&response, name)).flatten();
            let sum = text(&response, "X-Linked-Etag").or_else(|| own("ETag")).and_then(Sum::of_etag);
            let size = text(&response, "X-Linked-Size").or_else(|| own("Content-Length"));
            let size = size.and_then(|size| size.parse().ok());
            match text(&response, "Location").filter(|to| to.starts_with('/') && !to.starts_with("//")) {
                Some(to) if status.is_redirection() && sum.is_none() => place = origin(&place) + to,
                _ => return Ok(Facts { sum, size }),
            }
        }
        Err(Trouble::Final(StoreError::Fetch(format!("{url}: sent from one place to the next, five times"))))
    }
}

/// A header of an answer, where it is text.
pub(crate) fn text<'a>(response: &'a Response<Body>, name: &str) -> Option<&'a str> {
    response.headers().get(name)?.to_str().ok()
}

/// Scheme and host of an address.
fn origin(url: &str) -> String {
    let host = url.find("://").map_or(0, |at| at + 3);
    let end = url[host..].find('/').map_or(url.len(), |at| host + at);
    url[..end].to_owned()
}

/// Whether an address is of this machine, which no proxy reaches.
fn is_here(url: &str) -> bool {
    let uri: Option<Uri> = url.parse().ok();
    uri.and_then(|uri| Some(["localhost", "127.0.0.1", "[::1]"].contains(&uri.host()?))).unwrap_or(false)
}

fn refused(url: &str, status: StatusCode) -> Trouble {
    let what = match status.as_u16() {
        401 | 403 => {
            "the server does not give it to everybody: it may ask for an account and for consent to a licence"
        }
        404 | 410 => {
            "there is no such file on the server: the catalogue's entry or the base address is wrong"
        }
        // What a server says when it is busy or ill.
        408 | 425 | 429 | 500..=599 => return Trouble::Broken(format!("the server answers {status}")),
        _ => "this answer is of no use",
    };
    Trouble::Final(StoreError::Fetch(format!("{url}: {status}: {what}")))
}

/// What went wrong before there was an answer.
fn trouble(url: &str, e: ureq::Error) -> Trouble {
    match e {
        ureq::Error::Io(_)
        | ureq::Error::Timeout(_)
        | ureq::Error::HostNotFound
        | ureq::Error::ConnectionFailed
        | ureq::Error::Protocol(_) => Trouble::Broken(reason(&e)),
        e => Trouble::Final(StoreError::Fetch(format!("{url}: {e}"))),
    }
}

/// What went wrong within an answer.
pub(crate) fn broken_off(e: io::Error) -> Trouble {
    match e.downcast::<ureq::Error>() {
        Ok(e) => Trouble::Broken(reason(&e)),
        Err(e) => Trouble::Broken(format!("the connection broke off ({e})")),
    }
}

fn reason(e: &ureq::Error) -> String {
    match e {
        ureq::Error::Timeout(_) => "the server is silent".into(),
        ureq::Error::HostNotFound => "the server's name is not known; is there a network?".into(),
        ureq::Error::Io(e) if e.kind() == io::ErrorKind::ConnectionRefused => {
            "the server cannot be reached".into()
        }
        e => format!("the connection broke off ({e})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_scheme_and_host() {
        assert_eq!(origin("https://hub.example/a/b"), "https://hub.example");
        assert_eq!(origin("http://localhost:80"), "http://localhost:80");
    }

    #[test]
    fn no_proxy_stands_between_this_machine_and_itself() {
        assert!(is_here("http://127.0.0.1:8000/x") && is_here("http://[::1]/x"));
        assert!(!is_here("https://hub.example/127.0.0.1"));
    }

    #[test]
    fn no_pause_is_longer_than_two_seconds() {
        let patience = Patience::default();
        assert!((0..100).all(|failed| (patience.pause)(failed) <= Duration::from_secs(2)));
    }
}
