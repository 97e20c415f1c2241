//! `swictation model import`: what a person sees of it; the rules are the store's.

use crate::args::Import;
use crate::failure::Failure;
use crate::progress::Progress;
use crate::show;
use std::path::Path;
use swictation_control::exit;
use swictation_models::{Event, Head, Manner, Places, Precision, Wish, import, recognise};

/// Shows what the model is and, unless that was all, enters it among the models.
pub(crate) fn run(places: &Places, args: Import) -> Result<u8, Failure> {
    let wish = Wish {
        name: args.name,
        language: args.language,
        licence: args.licence,
        precision: args.precision.as_deref().map(|name| match name {
            "fp16" => Precision::Fp16,
            "int8" => Precision::Int8,
            _ => Precision::Fp32,
        }),
        head: args.head.as_deref().map(|name| match name {
            "ctc" => Head::Ctc,
            "tdt" => Head::Tdt,
            "aed" => Head::Aed,
            _ => Head::Rnnt,
        }),
        vocabulary: args.vocabulary,
        left_frames: args.left_frames,
        right_frames: args.right_frames,
        subsampling: args.subsampling,
        durations: args.durations,
    };
    let found = recognise(&args.dir, &wish)?;
    show::line(&found.lines().join("\n"))?;
    if args.dry_run {
        show::line("\nmodel.toml would be:\n")?;
        return show::line(found.manifest("").trim_end());
    }
    let manner = Manner { force: args.force, link: args.link };
    let mut progress = Progress::new();
    let mut tell = |file: &Path| progress.tell(&Event::File(&file.display().to_string()));
    let done = import(places, &found, manner, &mut tell);
    progress.end();
    let done = done?;
    for note in &done.notes {
        show::line(note)?;
    }
    let name = found.name();
    show::line(&format!("{name} is imported: {} says what it is", done.folder.join("model.toml").display()))?;
    show::line("whether its graphs load is seen when they are used:")?;
    show::line(&format!("  swictation transcribe --model {} FILE.wav", done.folder.display()))?;
    show::line(&format!("  swictation model use {name}"))?;
    Ok(exit::OK)
}
