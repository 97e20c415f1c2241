//! The geometry of a graph that streams with caches.

use super::agree::Number;
use super::folder::Graph;
use super::geometry::{Kind, MAX_FRAMES, dim};
use super::{Wish, role, wrong};
use crate::StoreError;
use std::path::Path;
use swictation_onnx::Port;

/// The geometry that a cache-aware graph was exported with. NeMo writes it nowhere but
/// into the graph: the fill level of the cache is clipped to the left context, the
/// length of the output to a chunk (`conformer_encoder.py`, `streaming_post_process`).
pub(super) fn cache_aware(
    encoder: &Graph,
    file: &Path,
    subsampling: u64,
    wish: &Wish,
    facts: &mut Vec<String>,
    assumed: &mut Vec<String>,
) -> Result<Kind, StoreError> {
    let header = &encoder.header;
    let bound = |port: Option<&Port>| header.bounds.get(&port?.name).and_then(|n| u64::try_from(*n).ok());
    let attention = header
        .inputs
        .iter()
        .find(|port| port.name.contains("cache_last_channel") && !port.name.contains("len"));
    let filled = header
        .outputs
        .iter()
        .find(|port| port.name.contains("cache_last_channel") && port.name.contains("len"));
    let length = header.outputs.iter().find(|port| port.name.contains("len") && !port.name.contains("cache"));
    let encoded = role::signal(&header.outputs);
    let source = |port: Option<&Port>| port.map_or(String::new(), |port| port.name.clone());
    let ask = |what: &str, option: &str, tensor: String| {
        wrong(
            file,
            format!(
                "does not tell its {what} (tensor {tensor:?} leaves it open, and there is no metadata): {option} says it"
            ),
        )
    };
    let left = Number::new(file, "the left context")
        .told(dim(attention, 2), format!("the shape of {}", source(attention)))
        .told(bound(filled), format!("the bound of {}", source(filled)))
        .told(wish.left_frames, "--left-frames")
        .metadata(encoder, "cache_last_channel_dim2")?
        .agreed()?
        .ok_or_else(|| ask("left context", "--left-frames", source(attention)))?;
    let shift = Number::new(file, "chunk_shift").metadata(encoder, "chunk_shift")?.agreed()?;
    let scored = encoded.is_some_and(|port| port.name.contains("prob"));
    let chunk = Number::new(file, "the length of a chunk in encoder frames")
        .told(bound(length), format!("the bound of {}", source(length)))
        .told(dim(encoded, if scored { 1 } else { 2 }), format!("the shape of {}", source(encoded)))
        .told(shift.as_ref().map(|(shift, _)| shift / subsampling), "metadata chunk_shift")
        .told(wish.right_frames.map(|right| right.saturating_add(1)), "--right-frames")
        .agreed()?
        .ok_or_else(|| ask("right context", "--right-frames", source(encoded)))?;
    let ((left, left_by), (chunk, chunk_by)) = (left, chunk);
    if chunk == 0 || chunk > MAX_FRAMES || left > MAX_FRAMES || left % chunk != 0 {
        let reason = format!(
            "has {left} frames of left context ({left_by}) and chunks of {chunk} ({chunk_by}); \
             NeMo's left context is a multiple of the chunk"
        );
        return Err(wrong(file, reason));
    }
    let window = Number::new(file, "the window in mel frames")
        .told(dim(role::signal(&header.inputs), 2), "the shape of its features")
        .metadata(encoder, "window_size")?
        .agreed()?;
    let pre_encode = match window {
        Some((window, _)) => window
            .checked_sub(chunk * subsampling)
            .filter(|frames| *frames <= MAX_FRAMES)
            .ok_or_else(|| {
            wrong(
                file,
                format!(
                    "takes windows of {window} mel frames, which is not a chunk of {} and some history",
                    chunk * subsampling
                ),
            )
        })?,
        None => {
            assumed.push(format!(
                "pre_encode_frames = {}, as NeMo has it (loading the model checks it)",
                subsampling + 1
            ));
            subsampling + 1
        }
    };
    let ms = |frames: u64| frames * subsampling * 10;
    facts.push(format!("left context {left} encoder frames, {:.1} s ({left_by})", ms(left) as f64 / 1000.0));
    facts.push(format!(
        "chunks of {chunk} encoder frames, {} ms, of which {} ms are look-ahead ({chunk_by})",
        ms(chunk),
        ms(chunk - 1)
    ));
    Ok(Kind::CacheAware {
        left,
        right: chunk - 1,
        pre_encode,
        convolution: convolution(encoder, file, facts)?,
    })
}

/// The length of the convolution cache, where neither a shape nor metadata tells it
/// to whoever loads the graph: causal convolutions look back by one less than their
/// kernel.
fn convolution(encoder: &Graph, file: &Path, facts: &mut Vec<String>) -> Result<Option<u64>, StoreError> {
    let cache = role::port(&encoder.header.inputs, &["cache_last_time"]);
    if dim(cache, 3).is_some() || encoder.header.metadata.contains_key("cache_last_time_dim3") {
        return Ok(None);
    }
    let depthwise = encoder.header.convolutions.keys().filter(|one| one.groups > 1);
    let mut kernels: Vec<u64> = depthwise
        .filter_map(|one| match one.kernel[..] {
            [kernel] if kernel > 1 => Some(kernel),
            _ => None,
        })
        .collect();
    kernels.dedup();
    match kernels[..] {
        [kernel] if kernel <= MAX_FRAMES => {
            facts.push(format!(
                "convolutions look back by {} frames (their kernels have {kernel})",
                kernel - 1
            ));
            Ok(Some(kernel - 1))
        }
        _ => Err(wrong(
            file,
            "does not tell how long its convolution cache is: tensor \"cache_last_time\" leaves it open, there is no \
             metadata cache_last_time_dim3, and its depthwise convolutions are not all of one kernel",
        )),
    }
}
