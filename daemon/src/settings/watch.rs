//! What tells that the configuration may say something else now.
//!
//! A watch is a thread that sleeps in inotify until something changes in a folder with
//! one of the files, so an idle daemon is not woken. Folders are watched and not files:
//! editors replace files, and a file may not exist yet.

use super::hotwords_file;
use inotify::{Inotify, WatchDescriptor, WatchMask};
use std::ffi::{OsStr, OsString};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use swictation_core::config::Config;

/// Calls `on_change` whenever the configuration `file`, or the hotwords that it names,
/// may have changed, from a thread of its own.
///
/// # Errors
/// What the system said; without a watch changes count from the next start.
pub fn watch(file: &Path, on_change: impl Fn() + Send + 'static) -> std::io::Result<()> {
    let file = file.to_path_buf();
    let folder = folder(&file);
    if !folder.exists() {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    let mut inotify = Inotify::init()?;
    let mut watched = vec![add(&mut inotify, &file)?];
    watched.extend(hotwords(&file).and_then(|path| add(&mut inotify, &path).ok()));
    std::thread::Builder::new().name("config-watch".into()).spawn(move || {
        let mut buffer = [0u8; 4096];
        loop {
            let concerned = match inotify.read_events_blocking(&mut buffer) {
                Ok(mut events) => events.any(|event| {
                    watched.iter().any(|(folder, name)| event.wd == *folder && event.name == Some(name))
                }),
                Err(error) => {
                    tracing::warn!("{} is no longer watched: {error}", file.display());
                    return;
                }
            };
            if concerned {
                if let Some(path) = hotwords(&file) {
                    watched.truncate(1);
                    watched.extend(add(&mut inotify, &path).ok());
                }
                on_change();
            }
        }
    })?;
    Ok(())
}

/// The file of the hotwords; none while the configuration does not tell.
fn hotwords(file: &Path) -> Option<PathBuf> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    Some(hotwords_file(file, &Config::parse(&text).ok()?.hotwords))
}

/// Watches the folder of `file`; its number, and the file's name in it.
fn add(inotify: &mut Inotify, file: &Path) -> std::io::Result<(WatchDescriptor, OsString)> {
    let mask = WatchMask::CLOSE_WRITE | WatchMask::MOVED_TO | WatchMask::MOVED_FROM | WatchMask::DELETE;
    let number = inotify.watches().add(folder(file), mask)?;
    Ok((number, file.file_name().unwrap_or(OsStr::new("")).to_os_string()))
}

fn folder(file: &Path) -> &Path {
    file.parent().unwrap_or(Path::new("/"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::sync::mpsc;
    use std::time::Duration;

    #[test]
    fn a_change_of_the_configuration_or_of_the_hotwords_that_it_names_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.toml");
        let elsewhere = folder.path().join("names");
        std::fs::create_dir(&elsewhere).unwrap();
        let (told, changes) = mpsc::channel();
        watch(&file, move || told.send(()).unwrap_or_default()).unwrap();
        let change = |path: &Path, text: &str| {
            while changes.try_recv().is_ok() {}
            std::fs::write(path, text).unwrap();
            changes.recv_timeout(Duration::from_secs(60)).unwrap();
        };
        change(&folder.path().join("hotwords.txt"), "Anna");
        change(&file, "hotwords = \"names/mine.txt\"");
        change(&elsewhere.join("mine.txt"), "Karenina");
        std::fs::write(folder.path().join("unrelated"), "").unwrap();
        change(&file, "");
        change(&folder.path().join("hotwords.txt"), "Vronsky");
    }
}
