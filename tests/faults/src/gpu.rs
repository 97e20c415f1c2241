//! A GPU that is a word in a file, which tests rewrite: `present`, `absent`, `lost` or
//! `full`. What a worker on it says is what ONNX Runtime says of such a device.

use crate::plan::text;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;
use swictation_asr::AsrError;

/// The simulated device.
pub(crate) struct Gpu {
    file: File,
    /// As ONNX Runtime would name it.
    pub(crate) provider: String,
}

impl Gpu {
    /// The GPU in the folder of the plan.
    pub(crate) fn beside(plan: &Path, device: &str) -> Self {
        let file = OpenOptions::new().read(true).write(true).open(plan.with_file_name("gpu"));
        let file = file.expect("the plan's folder has a file `gpu`");
        let provider = if device.contains(':') { device.to_owned() } else { format!("{device}:0") };
        Self { file, provider }
    }

    /// It is gone, until a test brings it back.
    pub(crate) fn lose(&self) {
        self.file.write_all_at(b"lost   ", 0).expect("the file `gpu` can be written");
    }

    /// Whether a model can be loaded on it.
    pub(crate) fn load(&self) -> Result<(), AsrError> {
        let said = match text(&self.file).trim() {
            "absent" => "CUDA failure 100: no CUDA-capable device is detected",
            "lost" => "CUDA failure 999: unknown error",
            "full" => "CUDA failure 2: out of memory",
            _ => return Ok(()),
        };
        Err(AsrError::of_device(format!(
            "device {} cannot be used: {said} ; GPU=0 ; expr=cudaSetDevice(info_.device_id);",
            self.provider
        )))
    }

    /// Whether it computes. A device that fails does so at once and for good, and the
    /// runtime aborts when it then gives back what it had there.
    pub(crate) fn run(&self) -> Result<(), AsrError> {
        let said = match text(&self.file).trim() {
            "absent" | "lost" => "CUDA failure 719: unspecified launch failure",
            "full" => FULL,
            _ => return Ok(()),
        };
        Err(AsrError::of_run(said.to_owned()))
    }
}

/// What the arena says that cannot grow.
pub(crate) const FULL: &str = "Non-zero status code returned while running Conv node. Status Message: /onnxruntime_src/onnxruntime/core/framework/bfc_arena.cc:376 void* onnxruntime::BFCArena::AllocateRawInternal(size_t, bool, onnxruntime::Stream*, bool, onnxruntime::WaitNotificationFn) Failed to allocate memory for requested buffer of size 13111296";
