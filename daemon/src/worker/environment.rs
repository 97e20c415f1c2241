//! What of the daemon's environment a worker gets: a list of what it is given.
//!
//! A worker recognises, and needs to know where libraries are and how a driver is set.
//! What leads to the session, its bus, its displays, its keys, is not its business, and
//! what is not known here is not handed on.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

/// Given as they are.
const GIVEN: &[&str] = &[
    "HOME",
    "LANG",
    "LANGUAGE",
    "LD_LIBRARY_PATH",
    "LLVM_PROFILE_FILE",
    "PATH",
    "RUST_BACKTRACE",
    "XDG_DATA_HOME",
];

/// Given whatever comes behind: languages, and the settings of drivers and libraries.
const FAMILIES: &[&str] = &["CUBLAS_", "CUDA_", "CUDNN_", "LC_", "NVIDIA_", "OMP_", "ORT_", "SWICTATION_"];

/// Where a GPU's driver keeps what it compiles.
const COMPILED: &str = "CUDA_CACHE_PATH";

/// The environment of a worker whose daemon has `all`.
pub(super) fn given(all: impl Iterator<Item = (OsString, OsString)>) -> Vec<(OsString, OsString)> {
    let (mut given, mut cache, mut home) = (Vec::new(), None, None);
    for (name, value) in all {
        match name.to_str() {
            Some("XDG_CACHE_HOME") => cache = Some(PathBuf::from(&value)),
            Some("HOME") => home = Some(Path::new(&value).join(".cache")),
            _ => {}
        }
        if is_given(&name) {
            given.push((name, value));
        }
    }
    // A folder of its own: what a worker compiles is nobody else's to run, and the
    // worker writes nowhere else.
    let cache = cache.filter(|folder| folder.is_absolute()).or(home);
    if let Some(cache) = cache.filter(|_| !given.iter().any(|(name, _)| name == COMPILED)) {
        given.push((COMPILED.into(), cache.join("swictation/cuda").into()));
    }
    given
}

fn is_given(name: &OsStr) -> bool {
    let Some(name) = name.to_str() else { return false };
    GIVEN.contains(&name) || FAMILIES.iter().any(|family| name.starts_with(family))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(all: &[(&str, &str)]) -> Vec<String> {
        let all = all.iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
        let text = |(name, value): (OsString, OsString)| format!("{}={}", name.display(), value.display());
        given(all).into_iter().map(text).collect()
    }

    #[test]
    fn a_worker_gets_what_libraries_and_drivers_need_and_nothing_of_the_session() {
        let session = [
            "DBUS_SESSION_BUS_ADDRESS",
            "DISPLAY",
            "WAYLAND_DISPLAY",
            "XAUTHORITY",
            "XDG_RUNTIME_DIR",
            "PULSE_SERVER",
            "PULSE_COOKIE",
            "SSH_AUTH_SOCK",
            "GPG_AGENT_INFO",
            "GITHUB_TOKEN",
            "LD_PRELOAD",
            "NOTIFY_SOCKET",
            "CREDENTIALS_DIRECTORY",
        ];
        let needed = ["PATH", "LD_LIBRARY_PATH", "ORT_DYLIB_PATH", "CUDA_VISIBLE_DEVICES", "LC_ALL"];
        let all: Vec<_> = session.iter().chain(&needed).map(|name| (*name, "x")).collect();
        assert_eq!(of(&all), needed.map(|name| format!("{name}=x")));
    }

    #[test]
    fn what_is_compiled_for_a_gpu_has_a_folder_of_its_own_unless_somebody_chose_one() {
        assert_eq!(of(&[("HOME", "/h")]), ["HOME=/h", "CUDA_CACHE_PATH=/h/.cache/swictation/cuda"]);
        assert_eq!(of(&[("XDG_CACHE_HOME", "/c")]), ["CUDA_CACHE_PATH=/c/swictation/cuda"]);
        assert_eq!(of(&[("XDG_CACHE_HOME", "c")]), [""; 0]);
        assert_eq!(of(&[("XDG_CACHE_HOME", "/c"), ("CUDA_CACHE_PATH", "/mine")]), ["CUDA_CACHE_PATH=/mine"]);
    }
}
