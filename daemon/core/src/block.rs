//! Bytes and samples as one block, for serde's `with`.
//!
//! Postcard takes a list one element after the other, which for a minute of audio or
//! the caches of a model takes far longer than to copy it. What the numbers mean is
//! not known here.

/// A `Vec<u8>` as a block.
pub mod bytes {
    use super::Block;
    use serde::de::Deserializer;
    use serde::ser::Serializer;

    /// Writes the bytes as they are.
    ///
    /// # Errors
    /// What the serializer says.
    pub fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_bytes(bytes)
    }

    /// Reads them.
    ///
    /// # Errors
    /// What the deserializer says.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        from.deserialize_bytes(Block(|bytes: &[u8]| Ok(bytes.to_vec())))
    }
}

/// A list of `f32` as a block, bit by bit what it was.
pub mod floats {
    use super::Block;
    use serde::de::Deserializer;
    use serde::ser::Serializer;

    const SIZE: usize = size_of::<f32>();

    /// Writes the numbers, the lowest byte of each first.
    ///
    /// # Errors
    /// What the serializer says.
    pub fn serialize<'a, C, S>(values: &'a C, to: S) -> Result<S::Ok, S::Error>
    where
        &'a C: IntoIterator<Item = &'a f32, IntoIter: ExactSizeIterator>,
        S: Serializer,
    {
        let values = values.into_iter();
        let mut block = vec![0; values.len() * SIZE];
        for (place, value) in block.chunks_exact_mut(SIZE).zip(values) {
            place.copy_from_slice(&value.to_le_bytes());
        }
        to.serialize_bytes(&block)
    }

    /// Reads them.
    ///
    /// # Errors
    /// What the deserializer says, and when the block ends within a number.
    pub fn deserialize<'de, C: FromIterator<f32>, D: Deserializer<'de>>(from: D) -> Result<C, D::Error> {
        from.deserialize_bytes(Block(|bytes: &[u8]| {
            let (values, rest) = bytes.as_chunks::<SIZE>();
            match rest {
                [] => Ok(values.iter().map(|value| f32::from_le_bytes(*value)).collect()),
                _ => Err(format!("{} bytes are no list of 32-bit floats", bytes.len())),
            }
        }))
    }
}

/// Takes a block and makes of it what the function says.
struct Block<F>(F);

impl<T, F: FnOnce(&[u8]) -> Result<T, String>> serde::de::Visitor<'_> for Block<F> {
    type Value = T;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("bytes")
    }

    fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<T, E> {
        self.0(bytes).map_err(E::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::{Deserialize, Serialize};
    use std::collections::VecDeque;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Blocks {
        #[serde(with = "super::bytes")]
        bytes: Vec<u8>,
        #[serde(with = "super::floats")]
        list: Vec<f32>,
        #[serde(with = "super::floats")]
        queue: VecDeque<f32>,
    }

    proptest! {
        #[test]
        fn blocks_come_back_bit_by_bit(bytes: Vec<u8>, list: Vec<u32>, split: u8) {
            let list: Vec<f32> = list.into_iter().map(f32::from_bits).collect();
            let mut queue: VecDeque<f32> = list.iter().copied().collect();
            queue.rotate_left(usize::from(split) % list.len().max(1));
            let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
            let blocks = Blocks { bytes, list, queue };
            let written = postcard::to_stdvec(&blocks).unwrap();
            let mut back: Blocks = postcard::from_bytes(&written).unwrap();
            prop_assert_eq!(&back.bytes, &blocks.bytes);
            prop_assert_eq!(bits(&back.list), bits(&blocks.list));
            let queue: Vec<f32> = blocks.queue.into_iter().collect();
            prop_assert_eq!(bits(back.queue.make_contiguous()), bits(&queue));
        }
    }

    #[test]
    fn a_block_that_ends_within_a_number_is_refused() {
        #[derive(Debug, Deserialize)]
        struct Floats(
            #[serde(with = "super::floats")]
            #[allow(dead_code)]
            Vec<f32>,
        );
        assert!(postcard::from_bytes::<Floats>(&[5, 0, 0, 0, 0, 0]).is_err());
    }
}
