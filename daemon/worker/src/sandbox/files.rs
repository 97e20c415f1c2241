//! The files that a worker may read, and the few it may write, held by landlock.
//!
//! A rule is about a file that is there when it is made, so everything is named by
//! what it is after all links. What is not there needs no rule. Nothing may be run,
//! and nothing made, changed or removed, but for what a GPU's driver cannot do
//! without: its devices, the names of its threads, and its cache of compiled code.

use super::Held;
use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, LandlockStatus, Ruleset,
    RulesetAttr, RulesetCreatedAttr, RulesetError, RulesetStatus, Scope, path_beneath_rules,
};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use swictation_asr::files::places;

/// Libraries and what describes the machine; none of it is a person's. Of `/proc` not
/// all: the command lines of other programs are there.
const SYSTEM: &[&str] = &[
    "/usr",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/opt/cuda",
    "/nix/store",
    "/gnu/store",
    "/run/opengl-driver",
    "/etc/ld.so.cache",
    "/etc/ld.so.preload",
    "/etc/localtime",
    "/etc/nvidia",
    "/sys",
    "/proc/self",
    "/proc/cpuinfo",
    "/proc/devices",
    "/proc/driver/nvidia",
    "/proc/driver/nvidia-uvm",
    "/proc/filesystems",
    "/proc/meminfo",
    "/proc/modules",
    "/proc/stat",
    "/proc/sys/kernel",
    "/proc/sys/vm",
    "/proc/version",
];

/// Devices that every library takes for granted.
const DEVICES: &[&str] = &["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"];

/// What a worker may open.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allowed {
    /// To be read, with all below it.
    pub read: Vec<PathBuf>,
    /// To be read, written and asked as a device is.
    pub devices: Vec<PathBuf>,
    /// To be written where they are; nothing is made there.
    pub written: Vec<PathBuf>,
    /// Folders in which files are made and removed.
    pub kept: Vec<PathBuf>,
}

impl Allowed {
    /// What loading `model` with the library at `runtime` takes.
    pub fn of(model: &Path, runtime: &Path, cuda: bool) -> Self {
        let mut read: Vec<PathBuf> = SYSTEM.iter().map(PathBuf::from).collect();
        read.extend(places(model));
        read.extend(runtime_libraries(runtime));
        let searched = std::env::var_os("LD_LIBRARY_PATH").unwrap_or_default();
        // An empty entry is the folder that the worker was started in, of which nothing is known.
        let searched = std::env::split_paths(&searched).filter(|folder| folder.is_absolute());
        read.extend(searched.flat_map(|folder| libraries(&folder)));
        let mut allowed =
            Self { read, devices: DEVICES.iter().map(PathBuf::from).collect(), ..Self::default() };
        if cuda {
            allowed.devices.extend(gpus(Path::new("/dev")));
            // The driver takes it for an error when it cannot name its threads.
            allowed.written.push("/proc/self/task".into());
            allowed.kept.extend(compiled());
        }
        allowed
    }
}

/// The libraries in the folder of ONNX Runtime, where its providers are, too, and those
/// of NVIDIA where a Python package has put them.
fn runtime_libraries(runtime: &Path) -> Vec<PathBuf> {
    let Ok(real) = runtime.canonicalize() else { return Vec::new() };
    let mut found: Vec<PathBuf> = [runtime, real.as_path()]
        .into_iter()
        .filter_map(Path::parent)
        .filter(|folder| folder.is_absolute())
        .flat_map(libraries)
        .collect();
    let packages = real.ancestors().nth(3).map(|packages| packages.join("nvidia"));
    found.extend(packages.filter(|folder| folder.is_dir()));
    found.push(real);
    found
}

/// The shared libraries right in a folder, and not the folder: it may be a person's home.
fn libraries(folder: &Path) -> Vec<PathBuf> {
    let is_library = |path: &Path| {
        path.file_name().is_some_and(|name| {
            let name = name.to_string_lossy();
            name.ends_with(".so") || name.contains(".so.")
        })
    };
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(|path| is_library(path) && path.is_file()).collect()
}

/// NVIDIA's devices, and the one that stands for a GPU on WSL.
fn gpus(dev: &Path) -> Vec<PathBuf> {
    let is_gpu = |name: &str| name.starts_with("nvidia") || matches!(name, "dri" | "dxg");
    let entries = std::fs::read_dir(dev).into_iter().flatten().flatten();
    entries.filter(|entry| entry.file_name().to_str().is_some_and(is_gpu)).map(|entry| entry.path()).collect()
}

/// The folder that the daemon gives the driver for what it compiles. Without it every
/// start of a worker would compile again, for a minute on a GPU that is newer than the
/// libraries.
fn compiled() -> Option<PathBuf> {
    let folder = PathBuf::from(std::env::var_os("CUDA_CACHE_PATH")?);
    // Where there is no driver, nobody compiles.
    if !folder.is_absolute() || !Path::new("/dev/nvidiactl").exists() {
        return None;
    }
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder).ok()?;
    Some(folder)
}

/// Has the kernel hold this thread, and all that it starts, to `allowed`, and keep it
/// from TCP, from signals to others and from abstract sockets, as far as it can.
pub fn hold(allowed: &Allowed) -> Held {
    // The newest that this was tried with: a later right must not be taken away unseen.
    let newest = ABI::V6;
    let read = AccessFs::ReadFile | AccessFs::ReadDir;
    let device = AccessFs::ReadFile | AccessFs::WriteFile | AccessFs::Truncate | AccessFs::IoctlDev;
    let kept = AccessFs::from_all(ABI::V3) & !AccessFs::Execute;
    let status = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(newest))
        .and_then(|set| set.handle_access(AccessNet::from_all(newest)))
        .and_then(|set| set.scope(Scope::from_all(newest)))
        .and_then(Ruleset::create)
        .and_then(|set| {
            let write: BitFlags<AccessFs> = AccessFs::WriteFile.into();
            set.add_rules(path_beneath_rules(&allowed.read, read))?
                .add_rules(path_beneath_rules(&allowed.devices, device | AccessFs::ReadDir))?
                .add_rules(path_beneath_rules(&allowed.written, write))?
                .add_rules(path_beneath_rules(&allowed.kept, kept))?
                .restrict_self()
        })
        .map_err(|e: RulesetError| e.to_string())?;
    match (status.ruleset, status.landlock) {
        (RulesetStatus::NotEnforced, LandlockStatus::NotEnabled) => {
            Err("this kernel has landlock and was started without it".to_owned())
        }
        (RulesetStatus::NotEnforced, _) => Err("this kernel has no landlock".to_owned()),
        (_, LandlockStatus::Available { effective_abi, kernel_abi }) => {
            Ok(format!("landlock ABI {}", kernel_abi.unwrap_or(effective_abi as i32)))
        }
        (_, other) => Err(format!("landlock is {other:?}")),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_runtime_in_a_persons_home_gives_its_libraries_and_not_the_home() {
        let home = tempfile::tempdir().unwrap();
        let home = home.path().canonicalize().unwrap();
        for file in ["libonnxruntime.so.1", "libonnxruntime_providers_cuda.so", "diary", "a.sources"] {
            std::fs::write(home.join(file), "").unwrap();
        }
        let link = home.join("libonnxruntime.so");
        std::os::unix::fs::symlink(home.join("libonnxruntime.so.1"), &link).unwrap();
        let found = runtime_libraries(&link);
        for library in ["libonnxruntime.so.1", "libonnxruntime_providers_cuda.so"] {
            assert!(found.contains(&home.join(library)), "{library}: {found:?}");
        }
        assert!(!found.iter().any(|path| home.starts_with(path)), "{found:?}");
        assert!(
            !found.iter().any(|path| path.ends_with("diary") || path.ends_with("a.sources")),
            "{found:?}"
        );
    }

    #[test]
    fn libraries_of_a_python_package_come_with_the_runtime_beside_them() {
        let packages = tempfile::tempdir().unwrap();
        let packages = packages.path().canonicalize().unwrap();
        std::fs::create_dir_all(packages.join("onnxruntime/capi")).unwrap();
        std::fs::create_dir_all(packages.join("nvidia/cudnn/lib")).unwrap();
        let library = packages.join("onnxruntime/capi/libonnxruntime.so.1.24");
        std::fs::write(&library, "").unwrap();
        let found = runtime_libraries(&library);
        assert!(found.contains(&packages.join("nvidia")), "{found:?}");
        assert!(!found.contains(&packages), "{found:?}");
    }

    #[test]
    fn only_a_gpu_brings_devices_and_something_to_write() {
        let dev = tempfile::tempdir().unwrap();
        for name in
            ["nvidia0", "nvidiactl", "nvidia-uvm", "nvidia-uvm-tools", "snd", "input", "uinput", "sda"]
        {
            std::fs::write(dev.path().join(name), "").unwrap();
        }
        let mut found = gpus(dev.path());
        found.sort();
        let names: Vec<_> = found.iter().map(|path| path.file_name().unwrap()).collect();
        assert_eq!(names, ["nvidia-uvm", "nvidia-uvm-tools", "nvidia0", "nvidiactl"]);
        let cpu = Allowed::of(Path::new("/nowhere"), Path::new("/nowhere/lib.so"), false);
        assert_eq!((cpu.written, cpu.kept, cpu.devices.len()), (vec![], vec![], DEVICES.len()));
        let cuda = Allowed::of(Path::new("/nowhere"), Path::new("/nowhere/lib.so"), true);
        assert_eq!(cuda.written, [Path::new("/proc/self/task")]);
    }
}
