//! Where things are: the configuration file, the models, the worker program.
//!
//! Paths follow the XDG base directories. Parsing is the core's; this module
//! finds, reads and watches. A watch is a thread that sleeps in inotify until
//! the file's folder changes, so an idle daemon is not woken.

use inotify::{Inotify, WatchMask};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use swictation_core::config::Config;

/// `$VARIABLE`, or `fallback` below the home folder.
fn base(variable: &str, fallback: &str) -> PathBuf {
    match std::env::var_os(variable).map(PathBuf::from).filter(|p| p.is_absolute()) {
        Some(path) => path,
        None => std::env::home_dir().unwrap_or_else(|| PathBuf::from("/")).join(fallback),
    }
}

/// The folder with the models and ONNX Runtime.
pub fn data_dir() -> PathBuf {
    base("XDG_DATA_HOME", ".local/share").join("swictation")
}

/// Where the configuration is unless the command line says otherwise.
pub fn config_file() -> PathBuf {
    base("XDG_CONFIG_HOME", ".config").join("swictation/config.toml")
}

/// Reads a configuration; a missing file at the default place means defaults.
///
/// # Errors
/// A sentence that names the file, and the line and key where there is one.
pub fn read_config(file: &Path) -> Result<Config, String> {
    match std::fs::read_to_string(file) {
        Ok(text) => Config::parse(&text).map_err(|e| format!("{}, {e}", file.display())),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound && file == config_file() => Ok(Config::default()),
        Err(e) => Err(format!("{}: cannot be read: {e}", file.display())),
    }
}

/// The folder of a model that the configuration names: a path when it has a
/// slash, else a name below the data folder.
pub fn model_dir(model: &str) -> PathBuf {
    match model.strip_prefix("~/") {
        Some(rest) => std::env::home_dir().unwrap_or_default().join(rest),
        None if model.contains('/') => PathBuf::from(model),
        None => data_dir().join("models").join(model),
    }
}

/// The worker program: beside this one, or found by name.
pub fn worker_program() -> PathBuf {
    let name = "swictation-worker";
    let beside = std::env::current_exe().ok().and_then(|exe| Some(exe.parent()?.join(name)));
    beside.filter(|path| path.exists()).unwrap_or_else(|| PathBuf::from(name))
}

/// Calls `on_change` whenever `file` may have changed, from a thread of its own.
///
/// The folder is watched and not the file: editors replace files, and the file
/// may not exist yet.
///
/// # Errors
/// What the system said; without a watch changes count from the next start.
pub fn watch(file: &Path, on_change: impl Fn() + Send + 'static) -> std::io::Result<()> {
    let folder = file.parent().unwrap_or(Path::new("/")).to_path_buf();
    let name = file.file_name().unwrap_or(OsStr::new("")).to_os_string();
    if !folder.exists() {
        use std::os::unix::fs::DirBuilderExt;
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
    }
    let mut inotify = Inotify::init()?;
    let mask = WatchMask::CLOSE_WRITE | WatchMask::MOVED_TO | WatchMask::MOVED_FROM | WatchMask::DELETE;
    inotify.watches().add(&folder, mask)?;
    std::thread::Builder::new().name("config-watch".into()).spawn(move || {
        let mut buffer = [0u8; 4096];
        loop {
            match inotify.read_events_blocking(&mut buffer) {
                Ok(mut events) => {
                    if events.any(|event| event.name == Some(&name)) {
                        on_change();
                    }
                }
                Err(error) => {
                    tracing::warn!("{} is no longer watched: {error}", folder.display());
                    return;
                }
            }
        }
    })?;
    Ok(())
}
