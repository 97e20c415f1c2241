//! A latency that is asked for, as a chunk and a right context.

use crate::AsrError;

/// Chunk and right context in milliseconds, whose sum is at most `latency`. An
/// `asked` chunk leaves the rest to the right context; without one the two stand to
/// each other as in `usual`, which are the model's own. A chunk is at least an encoder
/// frame of `frame` milliseconds.
///
/// # Errors
/// `Setting` when a chunk alone takes longer than `latency`; it names both.
pub(crate) fn split(
    latency: u32,
    asked: Option<u32>,
    usual: (u32, u32),
    frame: u32,
    name: &str,
) -> Result<(u32, u32), AsrError> {
    if latency < frame {
        return Err(AsrError::Setting(format!(
            "latency_ms = {latency} does not go with {name}: one encoder frame takes {frame} ms"
        )));
    }
    let (chunk, right) = (u64::from(usual.0), u64::from(usual.1));
    let share = u64::from(latency) * chunk / (chunk + right).max(1);
    let chunk = asked.unwrap_or(u32::try_from(share).unwrap_or(latency).max(frame));
    match latency.checked_sub(chunk) {
        Some(right) => Ok((chunk, right)),
        None => Err(AsrError::Setting(format!(
            "chunk_ms = {chunk} and latency_ms = {latency} do not go together with {name}: its latency is the chunk and what is heard behind it; leave one of them out"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_latency_is_shared_between_chunk_and_right_context_as_the_model_has_them() {
        assert_eq!(split(4000, None, (2000, 2000), 80, "m").unwrap(), (2000, 2000));
        assert_eq!(split(750, None, (1000, 500), 80, "m").unwrap(), (500, 250));
        assert_eq!(split(80, None, (1000, 0), 80, "m").unwrap(), (80, 0));
        assert_eq!(split(100, None, (1000, 1000), 80, "m").unwrap(), (80, 20), "a frame at least");
        assert!(split(79, None, (1000, 0), 80, "m").unwrap_err().to_string().contains("latency_ms = 79"));
        assert_eq!(split(u32::MAX, None, (u32::MAX, u32::MAX), 80, "m").unwrap().0, u32::MAX / 2);
    }

    #[test]
    fn an_asked_chunk_leaves_the_rest_to_the_right_context_and_must_fit() {
        assert_eq!(split(1500, Some(1000), (2000, 2000), 80, "m").unwrap(), (1000, 500));
        let refused = split(500, Some(1000), (2000, 2000), 80, "m").unwrap_err().to_string();
        assert!(refused.contains("chunk_ms = 1000") && refused.contains("latency_ms = 500"), "{refused}");
    }
}
