//! What tells that the configuration may say something else now.
//!
//! A watch is a thread that sleeps in inotify until something changes in a folder with
//! one of the files, so an idle daemon is not woken. Folders are watched and not files:
//! editors replace files, and a file may not exist yet.

use super::{hotwords_file, languages, own_pack};
use inotify::{Inotify, WatchDescriptor, WatchMask};
use std::ffi::{OsStr, OsString};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use swictation_core::config::Config;

/// What happens to files that are written or replaced. Where there is no folder of packs
/// yet, it is watched from the next change of the configuration on.
const WATCHED: WatchMask =
    WatchMask::CLOSE_WRITE.union(WatchMask::MOVED_TO).union(WatchMask::MOVED_FROM).union(WatchMask::DELETE);

/// Calls `on_change` whenever the configuration `file`, the hotwords that it names, or a
/// language pack beside it may have changed, from a thread of its own.
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
    watched.extend(others(&mut inotify, &file));
    std::thread::Builder::new().name("config-watch".into()).spawn(move || {
        let mut buffer = [0u8; 4096];
        loop {
            let concerned = match inotify.read_events_blocking(&mut buffer) {
                Ok(mut events) => events.any(|event| {
                    watched.iter().any(|(folder, name)| {
                        event.wd == *folder && name.as_deref().is_none_or(|name| event.name == Some(name))
                    })
                }),
                Err(error) => {
                    tracing::warn!("{} is no longer watched: {error}", file.display());
                    return;
                }
            };
            if concerned {
                watched.truncate(1);
                watched.extend(others(&mut inotify, &file));
                on_change();
            }
        }
    })?;
    Ok(())
}

/// A folder, and the name of the file in it that matters; without one, all do.
type Watched = (WatchDescriptor, Option<OsString>);

/// Watches what the configuration names, as far as it is there: the file of the hotwords,
/// unless it cannot be told, and the person's own language packs.
fn others(inotify: &mut Inotify, file: &Path) -> Vec<Watched> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let config = Config::parse_with(&text, &|language| own_pack(file, language));
    let hotwords = config.ok().and_then(|config| add(inotify, &hotwords_file(file, &config.hotwords)).ok());
    let packs = inotify.watches().add(languages(file), WATCHED).ok().map(|folder| (folder, None));
    hotwords.into_iter().chain(packs).collect()
}

/// Watches the folder of `file`.
fn add(inotify: &mut Inotify, file: &Path) -> std::io::Result<Watched> {
    let number = inotify.watches().add(folder(file), WATCHED)?;
    Ok((number, Some(file.file_name().unwrap_or(OsStr::new("")).to_os_string())))
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
