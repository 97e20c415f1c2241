//! Where things are: the configuration file, the models, the worker program.
//!
//! Paths follow the XDG base directories. Parsing is the core's; this module
//! finds and reads, and [`watch`] tells when it is worth while again.

mod watch;

pub use watch::watch;

use crate::private;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use swictation_core::config::{Config, OwnPack};
use swictation_core::hotwords::{self, Hotword};

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

/// The folder for what is kept between runs and is no one else's business.
pub fn state_dir() -> PathBuf {
    base("XDG_STATE_HOME", ".local/state").join("swictation")
}

/// Where IBus writes its addresses.
pub fn ibus_dir() -> PathBuf {
    base("XDG_CONFIG_HOME", ".config").join("ibus/bus")
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
        Ok(text) => Config::parse_with(&text, &|language| own_pack(file, language))
            .map_err(|e| format!("{}, {e}", file.display())),
        Err(e) if e.kind() == ErrorKind::NotFound && file == config_file() => {
            Config::parse_with("", &|language| own_pack(file, language))
                .map_err(|e| format!("{}, {e}", file.display()))
        }
        Err(e) => Err(format!("{}: cannot be read: {e}", file.display())),
    }
    .and_then(|config| {
        let expected = read_hotwords(file, &config.hotwords)?;
        Ok(Config { expected, ..config })
    })
}

/// Where the hotwords are that the configuration `file` names.
fn hotwords_file(file: &Path, name: &str) -> PathBuf {
    match name.strip_prefix("~/") {
        Some(rest) => std::env::home_dir().unwrap_or_default().join(rest),
        None => file.with_file_name(name),
    }
}

/// Reads the hotwords of a configuration; a missing file at the default place means none.
fn read_hotwords(file: &Path, name: &str) -> Result<Vec<Hotword>, String> {
    let path = hotwords_file(file, name);
    let fail = |why: &dyn std::fmt::Display| format!("{}: cannot be read: {why}", path.display());
    let text = std::fs::metadata(&path).and_then(|about| match about.is_file() {
        // What is neither would be waited for, or read without end.
        false => Err(std::io::Error::other("it is no regular file")),
        true if about.len() > hotwords::MOST_BYTES => {
            Err(std::io::Error::other(format!("it has more than {} bytes", hotwords::MOST_BYTES)))
        }
        true => std::fs::read_to_string(&path),
    });
    match text {
        Ok(text) => hotwords::parse(&text).map_err(|e| format!("{}, {e}", path.display())),
        Err(e) if e.kind() == ErrorKind::NotFound && name == Config::default().hotwords => Ok(Vec::new()),
        Err(e) => Err(fail(&e)),
    }
}

/// The folder of the person's own language packs, beside the configuration.
fn languages(file: &Path) -> PathBuf {
    file.parent().unwrap_or(Path::new("/")).join("languages")
}

/// The person's own pack for this language, if there is one.
fn own_pack(config: &Path, language: &str) -> Result<Option<OwnPack>, String> {
    let path = languages(config).join(language).with_extension("toml");
    let file = path.display().to_string();
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok(Some(OwnPack { file, text })),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(format!("{file}: cannot be read: {e}")),
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

/// Refuses what cannot be meant as a model, before anything is looked for on a disk.
///
/// # Errors
/// A sentence that says what would do.
pub fn check_model(name: &str) -> Result<(), String> {
    const LONGEST: usize = 4096;
    let refused = |what: &str| {
        Err(format!(
            "{what}: a model is a name that `swictation model list` shows, or the absolute path of a folder"
        ))
    };
    if name.trim().is_empty() {
        return refused("the name of the model is empty");
    }
    if name.len() > LONGEST {
        return refused(&format!("a name of {} bytes is longer than any path ({LONGEST})", name.len()));
    }
    if name.contains(char::is_control) {
        return refused(&format!("{name:?} has control characters"));
    }
    let is_path = name.contains('/');
    if is_path && !name.starts_with('/') && !name.starts_with("~/") || !is_path && name.starts_with('.') {
        return refused(&format!("{name:?} is relative to a folder that the daemon does not know"));
    }
    Ok(())
}

/// Writes `model = name` into the configuration file, and leaves all else in it as
/// it is: other keys, comments, order and permissions. It is there at once and whole.
///
/// # Errors
/// A sentence that names the file.
pub fn choose_model(file: &Path, name: &str) -> Result<(), String> {
    // Where the file is a link, what it leads to is edited.
    let file = std::fs::canonicalize(file).unwrap_or_else(|_| file.to_path_buf());
    let fail = |what: &str, e: &dyn std::fmt::Display| format!("{}: {what}: {e}", file.display());
    let text = match std::fs::read_to_string(&file) {
        Ok(text) => text,
        Err(e) if e.kind() == ErrorKind::NotFound => String::new(),
        Err(e) => return Err(fail("cannot be read", &e)),
    };
    let edited = with_model(&text, name).map_err(|e| fail("cannot be edited", &e))?;
    if edited == text {
        return Ok(());
    }
    // Whoever else may read it may do so afterwards.
    let mode = std::fs::metadata(&file).map_or(0o600, |about| about.permissions().mode());
    private::replace(&file, &edited, mode & 0o777).map_err(|e| fail("cannot be written", &e))
}

/// The text of a configuration with another model.
fn with_model(text: &str, name: &str) -> Result<String, toml_edit::TomlError> {
    let mut document: toml_edit::DocumentMut = text.parse()?;
    let mut value = toml_edit::Value::from(name);
    if let Some(old) = document.get("model").and_then(toml_edit::Item::as_value) {
        // The comment behind it.
        *value.decor_mut() = old.decor().clone();
    }
    document["model"] = toml_edit::Item::Value(value);
    Ok(document.to_string())
}

/// The worker program: beside this one, or found by name.
pub fn worker_program() -> PathBuf {
    let name = "swictation-worker";
    let beside = std::env::current_exe().ok().and_then(|exe| Some(exe.parent()?.join(name)));
    beside.filter(|path| path.exists()).unwrap_or_else(|| PathBuf::from(name))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn another_model_changes_one_value_and_nothing_else() {
        for (text, wanted) in [
            ("", "model = \"b\"\n"),
            ("# mine\nthreads = 1\n", "# mine\nthreads = 1\nmodel = \"b\"\n"),
            (
                "# top\nmodel  =  'a' # why\n# end\nthreads=1\n",
                "# top\nmodel  =  \"b\" # why\n# end\nthreads=1\n",
            ),
            ("#model = \"a\"\n", "model = \"b\"\n#model = \"a\"\n"),
            ("threads = 1", "threads = 1\nmodel = \"b\"\n"),
            (
                "[[replace]]\nfrom = \"x\"\nto = \"y\"\n",
                "model = \"b\"\n[[replace]]\nfrom = \"x\"\nto = \"y\"\n",
            ),
        ] {
            assert_eq!(with_model(text, "b").unwrap(), wanted, "{text:?}");
        }
    }

    #[test]
    fn a_name_is_written_so_that_it_is_read_back() {
        for name in ["a", "/models/é \"x\"", "~/m\\n"] {
            let text = with_model("threads = 1\n", name).unwrap();
            assert_eq!(Config::parse(&text).unwrap().model, name);
        }
    }

    #[test]
    fn a_choice_keeps_permissions_and_links_and_makes_what_is_missing() {
        let folder = tempfile::tempdir().unwrap();
        let (real, link) = (folder.path().join("real.toml"), folder.path().join("config.toml"));
        std::fs::write(&real, "threads = 1\n").unwrap();
        std::fs::set_permissions(&real, std::fs::Permissions::from_mode(0o640)).unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        choose_model(&link, "b").unwrap();
        assert_eq!(std::fs::read_to_string(&real).unwrap(), "threads = 1\nmodel = \"b\"\n");
        assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(std::fs::metadata(&real).unwrap().permissions().mode() & 0o777, 0o640);
        let missing = folder.path().join("new/config.toml");
        choose_model(&missing, "b").unwrap();
        assert_eq!(std::fs::metadata(&missing).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(folder.path().join("new")).unwrap().count(), 1);
    }

    #[test]
    fn a_file_that_is_no_toml_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.toml");
        std::fs::write(&file, "model = \n").unwrap();
        let why = choose_model(&file, "b").unwrap_err();
        assert!(why.contains("config.toml") && why.contains("cannot be edited"), "{why}");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "model = \n");
    }

    #[test]
    fn hotwords_lie_beside_the_configuration_and_need_not_be_there() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.toml");
        let phrases = || {
            let config = read_config(&file)?;
            Ok::<_, String>(config.expected.into_iter().map(|word| word.phrase).collect::<Vec<_>>())
        };
        std::fs::write(&file, "").unwrap();
        assert_eq!(phrases(), Ok(Vec::new()));
        std::fs::write(folder.path().join("hotwords.txt"), "Swictation\n").unwrap();
        assert_eq!(phrases(), Ok(vec!["Swictation".to_owned()]));
        std::fs::write(folder.path().join("hotwords.txt"), "Swictation\nAnna: 99\n").unwrap();
        let why = phrases().unwrap_err();
        assert!(why.contains("hotwords.txt, line 2: ") && why.contains("0.1 to 10"), "{why}");
        std::fs::write(&file, "hotwords = \"names/mine.txt\"").unwrap();
        let why = phrases().unwrap_err();
        assert!(why.contains("names/mine.txt: cannot be read"), "a file that is named must be there: {why}");
        std::fs::create_dir_all(folder.path().join("names/mine.txt")).unwrap();
        assert!(phrases().unwrap_err().contains("no regular file"));
    }

    #[test]
    fn what_cannot_be_a_model_is_refused_with_what_would_do() {
        for name in ["", " ", "a\nb", "a\0b", "a/b", "./a", "..", ".fetching", &"x".repeat(5000)] {
            assert!(check_model(name).unwrap_err().contains("swictation model list"), "{name:?}");
        }
        for name in ["a", "a.b-1", "/models/a b", "~/a"] {
            check_model(name).unwrap();
        }
    }

    #[test]
    fn a_pack_beside_the_configuration_is_read_and_its_faults_are_named_with_file_and_line() {
        let folder = tempfile::tempdir().unwrap();
        let (file, packs) = (folder.path().join("config.toml"), folder.path().join("languages"));
        std::fs::create_dir(&packs).unwrap();
        std::fs::write(&file, "language = \"own\"").unwrap();
        assert!(read_config(&file).unwrap_err().contains("languages/own.toml beside"));
        std::fs::write(packs.join("own.toml"), "\nquotes = 1").unwrap();
        let why = read_config(&file).unwrap_err();
        assert!(why.contains("config.toml, line 1") && why.contains("languages/own.toml, line 2"), "{why}");
        std::fs::write(packs.join("own.toml"), "quotes = [\"<\", \">\"]").unwrap();
        assert_eq!(read_config(&file).unwrap().language, "own");
    }
}
