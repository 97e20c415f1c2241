//! What NVML says about the graphics card; read only, and absent is fine.
//!
//! The worker uses the card; the daemon only reads its state for `status`, when
//! somebody asks and a worker runs on it. Nothing is decided here.

pub use nvml_wrapper::Nvml;
use nvml_wrapper::enum_wrappers::device::TemperatureSensor;
use serde_json::{Value, json};

/// A line for each card: number, name, memory, and the version of its driver.
///
/// # Errors
/// What NVML said.
pub fn cards(nvml: &Nvml) -> Result<Vec<String>, String> {
    let read = || -> Result<Vec<String>, nvml_wrapper::error::NvmlError> {
        let driver = nvml.sys_driver_version()?;
        let line = |number: u32| {
            let card = nvml.device_by_index(number)?;
            let (name, memory) = (card.name()?, card.memory_info()?);
            let (used, total) = (memory.used >> 20, memory.total >> 20);
            Ok(format!("cuda:{number}: {name}, {used} of {total} MiB used, driver {driver}"))
        };
        (0..nvml.device_count()?).map(line).collect()
    };
    read().map_err(|e| e.to_string())
}

/// The state of one card, or why it cannot be read.
pub fn snapshot(nvml: Option<&Nvml>, provider: &str) -> Option<Value> {
    let number: u32 = provider.strip_prefix("cuda:")?.parse().ok()?;
    let Some(nvml) = nvml else { return Some(json!({ "error": "NVML is not available" })) };
    let read = || -> Result<Value, nvml_wrapper::error::NvmlError> {
        let card = nvml.device_by_index(number)?;
        let memory = card.memory_info()?;
        Ok(json!({
            "name": card.name()?,
            "memory_used_mb": memory.used >> 20,
            "memory_total_mb": memory.total >> 20,
            "utilisation_percent": card.utilization_rates()?.gpu,
            "temperature_c": card.temperature(TemperatureSensor::Gpu)?,
        }))
    };
    Some(read().unwrap_or_else(|e| json!({ "error": e.to_string() })))
}
