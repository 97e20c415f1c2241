//! Audio that no worker gets over, kept where the person allowed it.
//!
//! A WAV file each, for the person alone (0600), below the state folder; whoever has it
//! can report what is wrong with a model, or listen to what is missing in the text.

use crate::settings;
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};
use swictation_core::SAMPLE_RATE;

/// Writes 16 kHz mono audio into a file of its own, and says where.
///
/// # Errors
/// What the system said.
pub fn keep(pcm: &[f32]) -> io::Result<PathBuf> {
    keep_in(&settings::state_dir().join("skipped"), pcm)
}

fn keep_in(folder: &Path, pcm: &[f32]) -> io::Result<PathBuf> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn what_is_kept_is_all_of_it_and_for_its_person_alone() {
        let state = tempfile::tempdir().unwrap();
        let folder = state.path().join("skipped");
        let pcm = [0.0, 0.25, -1.0];
        let path = keep_in(&folder, &pcm).unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&folder), mode(&path)), (0o700, 0o600));
        let kept = hound::WavReader::open(&path).unwrap().into_samples::<f32>();
        assert_eq!(kept.collect::<Result<Vec<_>, _>>().unwrap(), pcm);
    }
}
