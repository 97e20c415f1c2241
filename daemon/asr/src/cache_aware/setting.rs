//! Which of a model's exports is loaded.
//!
//! The context is a constant of a graph, so a model has as many contexts as exports:
//! the one in `[streaming]` and those in `[[settings]]`. What the person asks for
//! chooses among them, and what none of them has is refused with those there are.

use crate::manifest::{Manifest, Streaming};
use crate::{AsrError, Settings};

/// A context that a model has, with the role of the encoder exported for it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Export<'m> {
    pub(super) streaming: Streaming,
    pub(super) encoder: &'m str,
}

/// All that `manifest` lists, the one in `[streaming]` first.
pub(super) fn exports<'m>(manifest: &'m Manifest, streaming: &Streaming) -> Vec<Export<'m>> {
    let default = Export { streaming: *streaming, encoder: "encoder" };
    let further = manifest.settings.iter().map(|setting| {
        let (left_frames, right_frames) = (setting.left_frames, setting.right_frames);
        let streaming = Streaming { left_frames, right_frames, ..*streaming };
        Export { streaming, encoder: setting.encoder.as_str() }
    });
    std::iter::once(default).chain(further).collect()
}

/// The export that `settings` ask for: of the context and the chunk, within 1 %, and
/// with the longest latency that is allowed; the first of several.
///
/// # Errors
/// `Setting` naming what was asked for and what the model `name` has.
pub(super) fn choose<'m>(
    exports: &[Export<'m>],
    settings: &Settings,
    name: &str,
) -> Result<Export<'m>, AsrError> {
    let near = |wanted: f32, there: f32| !wanted.is_nan() && (wanted - there).abs() <= there * 0.01;
    let mut left: Vec<Export<'m>> = exports.to_vec();
    if let Some(wanted) = settings.context_seconds {
        left.retain(|export| near(wanted, export.streaming.context_seconds()));
        if left.is_empty() {
            let there = list(exports, Streaming::context_seconds);
            return Err(AsrError::Setting(format!(
                "a left context of {wanted} s does not go with {name}: its graph was exported with {there} s; leave the setting out or use {there}, or fetch an export with another context"
            )));
        }
    }
    if let Some(wanted) = settings.chunk_ms {
        let there = list(&left, Streaming::chunk_ms);
        left.retain(|export| near(wanted as f32, export.streaming.chunk_ms() as f32));
        if left.is_empty() {
            let context = settings.context_seconds.map(|s| format!(" with context_seconds = {s}"));
            return Err(AsrError::Setting(format!(
                "chunks of {wanted} ms do not go with {name}{}: its graph was exported for {there} ms; leave the setting out or use {there}",
                context.unwrap_or_default()
            )));
        }
    }
    let Some(most) = settings.latency_ms else {
        return left.first().copied().ok_or_else(|| AsrError::Setting(format!("{name} has no setting")));
    };
    // A chunk is all that is waited for: it holds its own look-ahead.
    let latency = |export: &Export<'_>| export.streaming.chunk_ms();
    let mut best: Option<Export<'m>> = None;
    for export in left.iter().filter(|export| latency(export) <= most) {
        if best.is_none_or(|best| latency(export) > latency(&best)) {
            best = Some(*export);
        }
    }
    best.ok_or_else(|| {
        let there = list(&left, Streaming::chunk_ms);
        let asked = [
            settings.chunk_ms.map(|ms| format!(" with chunk_ms = {ms}")),
            settings.context_seconds.map(|s| format!(" with context_seconds = {s}")),
        ];
        AsrError::Setting(format!(
            "latency_ms = {most} does not go with {name}{}: it has {there} ms; leave the setting out or use one of these",
            asked.into_iter().flatten().collect::<String>()
        ))
    })
}

/// The different values that exports have, in order.
fn list<V: PartialOrd + ToString>(exports: &[Export<'_>], value: impl Fn(&Streaming) -> V) -> String {
    let mut values: Vec<V> = exports.iter().map(|export| value(&export.streaming)).collect();
    values.sort_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
    values.dedup();
    values.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONTEXTS: [(u32, u32); 4] = [(70, 6), (70, 0), (70, 13), (252, 6)];

    fn there() -> Vec<Export<'static>> {
        let export = |&(left_frames, right_frames): &(u32, u32)| Export {
            streaming: Streaming {
                left_frames,
                right_frames,
                pre_encode_frames: 9,
                subsampling: 8,
                convolution_frames: None,
            },
            encoder: "encoder",
        };
        CONTEXTS.iter().map(export).collect()
    }

    fn chosen(context_seconds: Option<f32>, chunk_ms: Option<u32>, latency_ms: Option<u32>) -> (u32, u32) {
        let asked = Settings { context_seconds, chunk_ms, latency_ms, ..Settings::default() };
        let export = choose(&there(), &asked, "m").unwrap();
        (export.streaming.left_frames, export.streaming.right_frames)
    }

    fn refused(context_seconds: Option<f32>, chunk_ms: Option<u32>, latency_ms: Option<u32>) -> String {
        let asked = Settings { context_seconds, chunk_ms, latency_ms, ..Settings::default() };
        choose(&there(), &asked, "m").unwrap_err().to_string()
    }

    #[test]
    fn the_longest_latency_that_is_allowed_is_taken() {
        for (most, expected) in [
            (80, (70, 0)),
            (559, (70, 0)),
            (560, (70, 6)),
            (1119, (70, 6)),
            (1120, (70, 13)),
            (30_000, (70, 13)),
        ] {
            assert_eq!(chosen(None, None, Some(most)), expected, "{most} ms");
        }
    }

    #[test]
    fn without_a_setting_the_first_is_taken_and_context_and_chunk_choose_too() {
        assert_eq!(chosen(None, None, None), (70, 6));
        assert_eq!(chosen(Some(20.0), None, None), (252, 6));
        assert_eq!(chosen(None, Some(80), None), (70, 0));
        assert_eq!(chosen(Some(20.0), None, Some(1120)), (252, 6));
    }

    #[test]
    fn what_the_model_does_not_have_is_refused_with_what_it_has() {
        let text = refused(None, None, Some(79));
        assert!(text.contains("latency_ms = 79") && text.contains("80, 560, 1120 ms"), "{text}");
        let text = refused(None, Some(1120), Some(600));
        assert!(text.contains("latency_ms = 600") && text.contains("chunk_ms = 1120"), "{text}");
        let text = refused(Some(20.0), None, Some(100));
        assert!(text.contains("latency_ms = 100") && text.contains("context_seconds = 20"), "{text}");
        let text = refused(Some(10.0), None, None);
        assert!(text.contains("10 s") && text.contains("5.6, 20.16 s"), "{text}");
        let text = refused(Some(20.0), Some(80), None);
        assert!(text.contains("80 ms") && text.contains("560 ms"), "{text}");
    }
}
