//! Which of the installed models asks less of a machine that is too slow for its own.
//!
//! Only folders and the sizes of files are looked at: how large the weights are says
//! well enough how much there is to compute, and a person is only offered the name.

use std::path::Path;

/// A model counts as smaller when its weights are at most so much of the other's.
const SHARE: f64 = 0.7;

/// The largest of the models in the folder `models` that is clearly smaller than the one
/// in the folder `current`; none where there is no such.
pub fn than(current: &Path, models: &Path) -> Option<String> {
    let limit = (weights(current) as f64 * SHARE) as u64;
    let installed = std::fs::read_dir(models).ok()?.flatten();
    let named = installed.filter_map(|entry| {
        let size = weights(&entry.path());
        let whole = size > 0 && size <= limit && entry.path().join("model.toml").is_file();
        whole.then(|| Some((size, entry.file_name().into_string().ok()?)))?
    });
    named.max().map(|(_, name)| name)
}

/// The bytes of all files in a folder, of which the weights are nearly all.
fn weights(folder: &Path) -> u64 {
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    // Links are followed: an imported model may lie elsewhere.
    let sizes = files.filter_map(|entry| std::fs::metadata(entry.path()).ok());
    sizes.filter(std::fs::Metadata::is_file).map(|about| about.len()).sum()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_of_the_clearly_smaller_models_is_offered() {
        let models = tempfile::tempdir().unwrap();
        let model = |name: &str, size: usize, whole: bool| {
            let folder = models.path().join(name);
            std::fs::create_dir(&folder).unwrap();
            std::fs::write(folder.join("model.onnx"), vec![0; size]).unwrap();
            if whole {
                std::fs::write(folder.join("model.toml"), "").unwrap();
            }
            folder
        };
        let large = model("large", 1000, true);
        let tiny = model("tiny", 100, true);
        model("alike", 900, true);
        model("broken", 500, false);
        assert_eq!(than(&large, models.path()).as_deref(), Some("tiny"));
        model("small", 600, true);
        assert_eq!(than(&large, models.path()).as_deref(), Some("small"));
        assert_eq!(than(&tiny, models.path()), None);
        assert_eq!(than(&large, &models.path().join("none")), None);
    }
}
