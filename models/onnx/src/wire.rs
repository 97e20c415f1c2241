//! The wire format of protocol buffers: fields of a message in a file, with bounds.
//!
//! <https://protobuf.dev/programming-guides/encoding/>. A length is held against
//! what is left of the message around it before anything is read, so a message
//! never costs more than its file, and what nobody asks for is seeked over.

use crate::OnnxError;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};

/// Text that one file may bring altogether: names and metadata, where vocabularies
/// may be.
const MAX_TEXT: u64 = 64 << 20;
/// Things with a name that one file may bring altogether. Large models have ten
/// thousand.
const MAX_ENTRIES: u32 = 1 << 18;

/// A file as a stream of fields.
pub struct Wire<R> {
    input: BufReader<R>,
    at: u64,
    text: u64,
    entries: u32,
}

/// What a field holds.
#[derive(Clone, Copy, Debug)]
pub enum Value {
    /// A number.
    Number(u64),
    /// Four or eight bytes, which are skipped already.
    Fixed,
    /// Bytes or a message from here to this place in the file.
    Until(u64),
}

/// What takes in the fields of a message: the file, the field's number, its value.
pub type Each<'a, R> = &'a mut dyn FnMut(&mut Wire<R>, u64, Value) -> Result<(), OnnxError>;

impl<R: Read + Seek> Wire<R> {
    /// A file from its beginning, and its length.
    ///
    /// # Errors
    /// As every function here: [`OnnxError::Read`], [`OnnxError::Malformed`] where the
    /// bytes are no such message, [`OnnxError::TooMuch`].
    pub fn new(mut input: R) -> Result<(Self, u64), OnnxError> {
        let end = input.seek(SeekFrom::End(0))?;
        input.rewind()?;
        Ok((Wire { input: BufReader::new(input), at: 0, text: 0, entries: 0 }, end))
    }

    /// The first bytes, which stay to be read.
    pub fn peek(&mut self) -> Result<&[u8], OnnxError> {
        Ok(self.input.fill_buf()?)
    }

    /// The error that something is wrong here.
    pub fn malformed(&self, reason: impl Into<String>) -> OnnxError {
        OnnxError::Malformed { at: self.at, reason: reason.into() }
    }

    /// Counts one more thing that takes memory.
    pub fn count(&mut self) -> Result<(), OnnxError> {
        self.entries += 1;
        if self.entries > MAX_ENTRIES {
            return Err(OnnxError::TooMuch("more than 262144 tensors, ports and names"));
        }
        Ok(())
    }

    /// Gives every field of the message that ends at `end` to `each`, with its number.
    /// What `each` leaves of a field is skipped.
    pub fn message(&mut self, end: u64, each: Each<'_, R>) -> Result<(), OnnxError> {
        while self.at < end {
            let (number, value) = self.field(end)?;
            each(self, number, value)?;
            if let Value::Until(end) = value {
                self.skip_to(end)?;
            }
        }
        Ok(())
    }

    fn field(&mut self, end: u64) -> Result<(u64, Value), OnnxError> {
        let tag = self.number(end)?;
        let number = tag >> 3;
        let value = match tag & 7 {
            0 => Value::Number(self.number(end)?),
            wire @ (1 | 5) => {
                let size = if wire == 1 { 8 } else { 4 };
                self.skip_to(self.stop(number, size, end)?)?;
                Value::Fixed
            }
            2 => {
                let length = self.number(end)?;
                Value::Until(self.stop(number, length, end)?)
            }
            wire => return Err(self.malformed(format!("field {number} has the unknown wire type {wire}"))),
        };
        if number == 0 {
            return Err(self.malformed("a field has the number 0"));
        }
        Ok((number, value))
    }

    /// Where a field of `length` bytes ends.
    fn stop(&self, number: u64, length: u64, end: u64) -> Result<u64, OnnxError> {
        let left = end.saturating_sub(self.at);
        if length > left {
            let reason = format!("field {number} claims {length} bytes where {left} are left");
            return Err(self.malformed(reason));
        }
        Ok(self.at + length)
    }

    /// A number of variable length in a message that ends at `end`.
    fn number(&mut self, end: u64) -> Result<u64, OnnxError> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            if self.at >= end {
                return Err(self.malformed("a number breaks off"));
            }
            let mut byte = [0];
            self.fill(&mut byte)?;
            number |= u64::from(byte[0] & 0x7f) << shift;
            if byte[0] & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(self.malformed("a number has more than ten bytes"))
    }

    /// The numbers of a field, be they packed or one alone.
    pub fn numbers(
        &mut self,
        value: Value,
        each: &mut dyn FnMut(u64) -> Result<(), OnnxError>,
    ) -> Result<(), OnnxError> {
        match value {
            Value::Number(number) => each(number),
            Value::Until(end) => {
                while self.at < end {
                    each(self.number(end)?)?;
                }
                Ok(())
            }
            Value::Fixed => Err(self.malformed("four or eight bytes stand where a number is expected")),
        }
    }

    /// The signed integer in the four or eight bytes of a field; none where it has
    /// another length.
    pub fn little_endian(&mut self, value: Value) -> Result<Option<i64>, OnnxError> {
        let mut bytes = [0; 8];
        match self.length(value) {
            4 => {
                self.fill(&mut bytes[..4])?;
                let [a, b, c, d, ..] = bytes;
                Ok(Some(i32::from_le_bytes([a, b, c, d]).into()))
            }
            8 => {
                self.fill(&mut bytes)?;
                Ok(Some(i64::from_le_bytes(bytes)))
            }
            _ => Ok(None),
        }
    }

    /// How many bytes a field has.
    pub fn length(&self, value: Value) -> u64 {
        match value {
            Value::Until(end) => end - self.at,
            Value::Number(_) | Value::Fixed => 1,
        }
    }

    /// Where the message in a field ends.
    pub fn inside(&self, value: Value) -> Result<u64, OnnxError> {
        match value {
            Value::Until(end) => Ok(end),
            _ => Err(self.malformed("a number stands where a message is expected")),
        }
    }

    /// The number in a field.
    pub fn integer(&self, value: Value) -> Result<u64, OnnxError> {
        match value {
            Value::Number(number) => Ok(number),
            _ => Err(self.malformed("a message stands where a number is expected")),
        }
    }

    /// The text in a field.
    pub fn text(&mut self, value: Value) -> Result<String, OnnxError> {
        let length = self.inside(value)? - self.at;
        self.text = self.text.saturating_add(length);
        if self.text > MAX_TEXT {
            return Err(OnnxError::TooMuch("more than 64 MiB of names and metadata"));
        }
        // Not beyond what is there: the length was held against the file.
        let mut bytes = vec![0; length as usize];
        self.fill(&mut bytes)?;
        String::from_utf8(bytes).map_err(|_| self.malformed("a text is not UTF-8"))
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), OnnxError> {
        self.input.read_exact(bytes)?;
        self.at += bytes.len() as u64;
        Ok(())
    }

    fn skip_to(&mut self, end: u64) -> Result<(), OnnxError> {
        let by = end.saturating_sub(self.at);
        self.input.seek_relative(i64::try_from(by).map_err(|_| self.malformed("the file is too long"))?)?;
        self.at = self.at.max(end);
        Ok(())
    }
}
