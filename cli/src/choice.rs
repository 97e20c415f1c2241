//! `swictation model use` and what must not be removed: which model is chosen.
//!
//! A running daemon tries the model beside the one it uses, switches, and writes
//! config.toml; without one `swictationd use-model` tries it and writes. Here a name
//! becomes what the daemon understands, and its answer an exit code.

use crate::failure::{self, Failure};
use crate::show;
use std::path::{Path, PathBuf};
use std::process::Command;
use swictation_control::{Dictation1Proxy, Engine, OwnedDict, Status, exit};
use swictation_models::installed;
use swictation_models::{Places, StoreError};
use zbus::Connection;
use zbus::proxy::CacheProperties;

/// What the daemon uses where config.toml names no model.
const DEFAULT: &str = "moonshine-tiny-en";

/// Has the daemon use a model; the exit code when it does.
pub(crate) fn choose(places: &Places, model: &str) -> Result<u8, Failure> {
    let name = meant(places, model)?;
    match crate::wait(ask(name.clone()))? {
        true => show::line(&format!("{name} is in use")),
        false => without_daemon(&name),
    }
}

/// The name of a model that is installed, or else the absolute path of a folder:
/// the daemon does not know which folder this program runs in.
fn meant(places: &Places, model: &str) -> Result<String, Failure> {
    if installed::one(places, model).is_some() && swictation_models::check_name(model).is_ok() {
        return Ok(model.to_owned());
    }
    let folder = Path::new(model);
    if !model.contains('/') && !folder.is_dir() {
        swictation_models::check_name(model)?;
        return Err(installed::absent(places, model).into());
    }
    let absolute = folder.canonicalize().ok().filter(|folder| folder.join("model.toml").is_file());
    let absolute = absolute.ok_or_else(|| {
        StoreError::Absent(format!(
            "{model:?} is no model: there is no file {}",
            folder.join("model.toml").display()
        ))
    })?;
    absolute.into_os_string().into_string().map_err(|path| {
        StoreError::Name(format!("{}: config.toml can only name what is UTF-8", path.display())).into()
    })
}

/// Asks the daemon, and waits as long as it takes to load the model and to come to
/// the end of a dictation; false when none runs.
async fn ask(name: String) -> Result<bool, Failure> {
    // Without a session bus there is no daemon either.
    let Ok(connection) = Connection::session().await else { return Ok(false) };
    let daemon = Dictation1Proxy::builder(&connection)
        .cache_properties(CacheProperties::No)
        .build()
        .await
        .map_err(Failure::from)?;
    match daemon.use_model(&name).await {
        Ok(_) => Ok(true),
        Err(e) if failure::is_no_daemon(&e) => Ok(false),
        Err(e) => Err(e.into()),
    }
}

fn without_daemon(name: &str) -> Result<u8, Failure> {
    let program = crate::swictationd();
    let done = Command::new(&program).args(["use-model", name]).status();
    let done = done.map_err(|e| crate::not_run(&program, &e))?;
    match done.code().and_then(|code| u8::try_from(code).ok()) {
        Some(exit::OK) => {
            show::line(&format!("{name} is chosen in config.toml; no daemon runs, the next one uses it"))
        }
        // It has said why.
        code => Ok(code.unwrap_or(exit::FAILURE)),
    }
}

/// Refuses to take away the model that is in use or chosen.
pub(crate) fn expect_unused(places: &Places, name: &str) -> Result<(), Failure> {
    let folder = places.model(name);
    let by = if crate::wait(folder_in_use())?.is_some_and(|used| same(&used, &folder)) {
        "the daemon uses it"
    } else if chosen(places)?.is_some_and(|model| model == name || same(Path::new(&model), &folder)) {
        "config.toml chooses it"
    } else {
        return Ok(());
    };
    Err(Failure::new(
        exit::FAILURE,
        format!("{name} is not removed, because {by}: `swictation model use OTHER` first, or add --force"),
    ))
}

/// The folder of the model that a running daemon uses.
async fn folder_in_use() -> Result<Option<PathBuf>, Failure> {
    let Ok(connection) = Connection::session().await else { return Ok(None) };
    let properties: OwnedDict = match crate::read(&connection).await {
        Ok(properties) => properties,
        Err(e) if failure::is_no_daemon(&e) => return Ok(None),
        Err(e) => return Err(e.into()),
    };
    let status = Status::from_properties(&properties).map_err(Failure::other)?;
    let Engine { folder, .. } = status.engine;
    Ok(Some(folder).filter(|folder| !folder.is_empty()).map(PathBuf::from))
}

/// The model that config.toml chooses, `DEFAULT` where it names none; none where the
/// file cannot be read, which the daemon tells.
fn chosen(places: &Places) -> Result<Option<String>, Failure> {
    let Ok(text) = std::fs::read_to_string(places.configuration()) else { return Ok(Some(DEFAULT.into())) };
    let table: Option<toml::Table> = text.parse().ok();
    Ok(table.map(|table| table.get("model").and_then(|model| model.as_str()).unwrap_or(DEFAULT).to_owned()))
}

fn same(a: &Path, b: &Path) -> bool {
    let real = |path: &Path| path.canonicalize().ok();
    a == b || real(a).is_some_and(|a| Some(a) == real(b))
}
