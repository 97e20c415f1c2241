//! One file from one address, going on where it broke off.

use crate::http::{Answer, Http, Trouble, broken_off, text};
use crate::part::Part;
use crate::{StoreError, http::Facts};
use std::io::{self, Read, Write};
use ureq::Body;
use ureq::http::Response;

/// What is told while a file comes.
pub(crate) enum Step<'a> {
    /// So many bytes are there, of so many.
    Bytes(u64, Option<u64>),
    /// It broke off for this reason and is asked for again.
    Again(&'a str),
}

impl Http {
    /// What the hub tells of a file, asked again while it is ill.
    pub(crate) fn ask(&self, url: &str, tell: &mut dyn FnMut(Step<'_>)) -> Result<Facts, StoreError> {
        let mut failed = 0;
        loop {
            match self.facts(url) {
                Ok(facts) => return Ok(facts),
                Err(Trouble::Final(e)) => return Err(e),
                Err(Trouble::Broken(why)) => self.wait(url, "", &why, &mut failed, tell)?,
            }
        }
    }

    /// Fetches a file into its part, which is then as long as it should be. What is
    /// there already is not fetched again.
    pub(crate) fn fetch(
        &self,
        url: &str,
        part: &Part,
        size: Option<u64>,
        tell: &mut dyn FnMut(Step<'_>),
    ) -> Result<(), StoreError> {
        let (mut failed, mut most) = (0, part.length());
        loop {
            let why = match self.once(url, part, size, tell) {
                Ok(()) => return Ok(()),
                Err(Trouble::Final(e)) => return Err(e),
                Err(Trouble::Broken(why)) => why,
            };
            let have = part.length();
            // A server that sends a piece at a time gets there in the end.
            if have > most {
                (failed, most) = (0, have);
            }
            let of = size.map(|size| format!(" of {size}")).unwrap_or_default();
            let kept = match part.start() {
                Some(_) => format!("; {have}{of} bytes are kept, and the same command goes on from there"),
                None => "; the same command begins anew".into(),
            };
            self.wait(url, &kept, &why, &mut failed, tell)?;
        }
    }

    /// Waits for the next try; an error when there have been enough.
    fn wait(
        &self,
        url: &str,
        kept: &str,
        why: &str,
        failed: &mut u32,
        tell: &mut dyn FnMut(Step<'_>),
    ) -> Result<(), StoreError> {
        *failed += 1;
        if *failed >= self.patience.tries {
            return Err(StoreError::Fetch(format!("{url}: {why}, {failed} times in a row{kept}")));
        }
        tell(Step::Again(why));
        std::thread::sleep((self.patience.pause)(*failed - 1));
        Ok(())
    }

    /// Asks once for what is missing, and writes what comes.
    fn once(
        &self,
        url: &str,
        part: &Part,
        size: Option<u64>,
        tell: &mut dyn FnMut(Step<'_>),
    ) -> Result<(), Trouble> {
        if size.is_some_and(|size| part.length() == size) {
            return Ok(());
        }
        if size.is_some_and(|size| part.length() > size) {
            part.discard()?;
        }
        let start = part.start();
        let (answer, response) = self.get(url, start.as_ref().map(|(from, etag)| (*from, etag.as_str())))?;
        let etag = text(&response, "ETag").map(str::to_owned);
        let (from, total) = match (answer, start) {
            (Answer::Whole, _) => (0, length(&response)),
            (Answer::Rest, Some((from, known))) => match range(&response) {
                Some((first, total)) if first == from && etag.as_ref().is_none_or(|etag| *etag == known) => {
                    (from, total)
                }
                _ => return Err(changed(part)?),
            },
            (Answer::Rest | Answer::Beyond, _) => return Err(changed(part)?),
        };
        if let (Some(size), Some(total)) = (size, total)
            && size != total
        {
            return Err(Trouble::Final(StoreError::Fetch(format!(
                "{url}: the server says that it has {total} bytes, it should have {size}: \
                 it is another file, or another version; nothing of it was fetched"
            ))));
        }
        self.receive(url, part, response, (from, etag.as_deref()), total.or(size), tell)
    }

    fn receive(
        &self,
        url: &str,
        part: &Part,
        response: Response<Body>,
        (from, etag): (u64, Option<&str>),
        total: Option<u64>,
        tell: &mut dyn FnMut(Step<'_>),
    ) -> Result<(), Trouble> {
        let mut file = part.open(from, etag)?;
        let local = |e: io::Error| match (e.kind(), total) {
            (io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded, Some(total)) => {
                StoreError::Local(format!(
                    "{} cannot be written: {e}. It needs {} bytes more ({} MB): make room and give the same \
                     command again, it goes on from there",
                    part.path().display(),
                    total.saturating_sub(part.length()),
                    total.saturating_sub(part.length()).div_ceil(1_000_000),
                ))
            }
            _ => StoreError::local(part.path(), "cannot be written", &e),
        };
        let (mut have, mut buffer) = (from, vec![0; 256 << 10]);
        let mut body = response.into_body().into_reader();
        tell(Step::Bytes(have, total));
        loop {
            let n = match body.read(&mut buffer) {
                Ok(0) => break,
                Ok(n) => n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(broken_off(e)),
            };
            have += n as u64;
            if let Some(total) = total.filter(|total| have > *total) {
                part.discard()?;
                return Err(Trouble::Final(StoreError::Fetch(format!(
                    "{url}: the server sends more than the {total} bytes there should be, {have} and on; \
                     nothing of it is kept"
                ))));
            }
            file.write_all(&buffer[..n]).map_err(local)?;
            tell(Step::Bytes(have, total));
        }
        match total.filter(|total| have < *total) {
            Some(total) => Err(Trouble::Broken(format!("it ended after {have} of {total} bytes"))),
            None => Ok(file.sync_all().map_err(local)?),
        }
    }
}

/// The part is of another file than the server has now: it begins anew.
fn changed(part: &Part) -> Result<Trouble, StoreError> {
    part.discard()?;
    Ok(Trouble::Broken("the file on the server has changed".into()))
}

impl From<StoreError> for Trouble {
    fn from(e: StoreError) -> Trouble {
        Trouble::Final(e)
    }
}

/// How long the server says that the file is.
fn length(response: &Response<Body>) -> Option<u64> {
    text(response, "Content-Length")?.parse().ok()
}

/// Where the answer begins in the file, and how long the file is:
/// `bytes 100-199/200`, or `/*`.
fn range(response: &Response<Body>) -> Option<(u64, Option<u64>)> {
    let (span, total) = text(response, "Content-Range")?.strip_prefix("bytes ")?.split_once('/')?;
    Some((span.split_once('-')?.0.parse().ok()?, total.parse().ok()))
}
