//! The loaded ONNX Runtime library: where it is, what is wrong with it.

use crate::AsrError;
use std::ffi::CStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What to do about a library that cannot be used.
const ADVICE: &str =
    "run ./scripts/run to fetch it, or set ORT_DYLIB_PATH to a libonnxruntime.so of version 1.24 or newer";

/// Where ONNX Runtime is looked for: `ORT_DYLIB_PATH`, or else where
/// `./scripts/run` puts it in the person's data folder.
pub fn runtime_path() -> PathBuf {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set("ORT_DYLIB_PATH").unwrap_or_else(|| {
        let data = set("XDG_DATA_HOME").or_else(|| set("HOME").map(|home| home.join(".local/share")));
        data.unwrap_or_default().join("swictation/onnxruntime/libonnxruntime.so")
    })
}

/// The loaded ONNX Runtime library.
pub struct Runtime {
    pub(super) environment: ort::environment::Environment,
    version: String,
    /// Shared with every graph: what comes out is looked at.
    pub(super) examined: Arc<AtomicBool>,
}

impl Runtime {
    /// Loads the library at `path`, which must be ONNX Runtime 1.24 or newer.
    ///
    /// # Errors
    /// `Runtime` with the file, what is wrong with it and what helps.
    pub fn open(path: &Path) -> Result<Self, AsrError> {
        give_memory_back();
        let shown = path.display();
        let fail = |reason: String| AsrError::Runtime(format!("{reason}; {ADVICE}"));
        if path.is_absolute() && !path.exists() {
            return Err(fail(format!("there is no ONNX Runtime at {shown}")));
        }
        let version = version(path).map_err(fail)?;
        if !is_new_enough(&version) {
            return Err(fail(format!("ONNX Runtime at {shown} is version {version}, which is too old")));
        }
        let unusable = |what: String| fail(format!("ONNX Runtime {version} at {shown} {what}"));
        let builder = ort::init_from(path).map_err(|e| unusable(format!("cannot be used: {e}")))?;
        let environment = builder
            .with_name("swictation")
            .with_telemetry(false)
            .build()
            .map_err(|e| unusable(format!("does not start: {}", e.message())))?;
        Ok(Self { environment, version, examined: Arc::default() })
    }

    /// Whether all graphs of this runtime refuse to give floats that are not finite.
    /// That reads every output again, so it is for a self-test and not for every step.
    pub fn examine(&self, on: bool) {
        self.examined.store(on, Ordering::Relaxed);
    }

    /// The version that the library itself tells, such as `1.24.4`.
    pub fn version(&self) -> &str {
        &self.version
    }
}

/// Asks the library itself, before anything else is asked of it: the interface of
/// another version cannot even be called.
fn version(path: &Path) -> Result<String, String> {
    let shown = path.display();
    // SAFETY: a library is loaded that the person names as ONNX Runtime, and is
    // called as every version of that can be: the function takes nothing and gives
    // a static table, the table a static text that ends in NUL.
    unsafe {
        let library = libloading::Library::new(path)
            .map_err(|e| format!("the library {shown} cannot be loaded: {}", dl_error(&e)))?;
        let base = library
            .get::<unsafe extern "C" fn() -> *const ort::sys::OrtApiBase>(b"OrtGetApiBase")
            .map_err(|_| format!("{shown} is not ONNX Runtime: it has no OrtGetApiBase"))?;
        let base = base();
        if base.is_null() {
            return Err(format!("{shown} is not ONNX Runtime: its OrtGetApiBase gives nothing"));
        }
        let version = ((*base).GetVersionString)();
        Ok(CStr::from_ptr(version).to_string_lossy().into_owned())
    }
}

/// What the loader of the system said; the crate's own words are for programmers.
fn dl_error(error: &libloading::Error) -> String {
    std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string)
}

/// 1.24 is the first that tells where its operators run.
fn is_new_enough(version: &str) -> bool {
    let mut numbers = version.split('.').map(|n| n.parse::<u32>().unwrap_or(0));
    let (major, minor) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    (major, minor) >= (1, 24)
}

/// Has freed memory of 128 KiB or more returned to the system at once.
///
/// While a model loads, every weight is there more than once for a moment. glibc would
/// raise that limit with the first large block that is freed, and keep half a model's
/// size of holes for the life of the process.
fn give_memory_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: it changes a setting of the allocator, under the allocator's own lock.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, 128 * 1024);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        for (version, enough) in [
            ("1.24.0", true),
            ("1.31.1", true),
            ("2.0", true),
            ("1.9.0", false),
            ("1.23.2", false),
            ("", false),
        ] {
            assert_eq!(is_new_enough(version), enough, "{version:?}");
        }
    }
}
