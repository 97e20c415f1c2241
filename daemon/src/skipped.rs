//! Audio that no worker gets over, kept where the person allowed it.
//!
//! A WAV file each, for the person alone (0600), below the state folder; whoever has it
//! can report what is wrong with a model, or listen to what is missing in the text.

use crate::settings;
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};
use swictation_core::SAMPLE_RATE;

/// Writes 16 kHz mono audio into a file of its own, and says where.
///
/// # Errors
/// What the system said.
pub fn keep(pcm: &[f32]) -> io::Result<PathBuf> {
    let folder = settings::state_dir().join("skipped");
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let path = folder.join(format!("{}.wav", since.as_millis()));
    let file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
    let format = hound::WavSpec {
        channels: 1,
        sample_rate: SAMPLE_RATE,
        bits_per_sample: 32,
        sample_format: hound::SampleFormat::Float,
    };
    let failed = |e: hound::Error| io::Error::other(e.to_string());
    let mut writer = hound::WavWriter::new(io::BufWriter::new(file), format).map_err(failed)?;
    pcm.iter().try_for_each(|sample| writer.write_sample(*sample)).map_err(failed)?;
    writer.finalize().map_err(failed)?;
    Ok(path)
}
