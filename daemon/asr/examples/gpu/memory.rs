//! The memory that a model takes: of a GPU as NVML counts it, of the processor as the
//! kernel does.

use nvml_wrapper::Nvml;
use std::error::Error;

/// Where memory is counted.
pub(crate) enum Memory {
    /// What this process has in RAM.
    Resident,
    /// What all processes have on a card since this was made, so nobody else may use it.
    Card { nvml: Box<Nvml>, number: u32, before: u64 },
}

impl Memory {
    /// The memory of `device`.
    pub(crate) fn of(device: &str) -> Result<Self, Box<dyn Error>> {
        let Some(rest) = device.strip_prefix("cuda") else { return Ok(Self::Resident) };
        let number = rest.strip_prefix(':').unwrap_or("0").parse()?;
        let nvml = Box::new(Nvml::init()?);
        let before = nvml.device_by_index(number)?.memory_info()?.used;
        Ok(Self::Card { nvml, number, before })
    }

    /// MiB in use now.
    pub(crate) fn used(&self) -> Result<f64, Box<dyn Error>> {
        let bytes = match self {
            Self::Resident => {
                let status = std::fs::read_to_string("/proc/self/status")?;
                let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
                let kib = line.and_then(|line| line.trim().strip_suffix(" kB")).ok_or("no VmRSS")?;
                kib.parse::<u64>()? << 10
            }
            Self::Card { nvml, number, before } => {
                nvml.device_by_index(*number)?.memory_info()?.used.saturating_sub(*before)
            }
        };
        Ok(bytes as f64 / f64::from(1 << 20))
    }
}

/// Says plainly when there is no such device, before anything is measured.
pub(crate) fn check(device: &str) -> Result<(), Box<dyn Error>> {
    let missing = |e: Box<dyn Error>| {
        format!(
            "there is no {device} here, nothing was measured: NVML says: {e}. --device cpu runs the same without a GPU"
        )
    };
    Memory::of(device).map_err(missing)?;
    Ok(())
}
