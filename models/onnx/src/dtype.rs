//! The types of elements, as `TensorProto.DataType` numbers them.

use std::fmt;

/// The type of a tensor's elements, by its number in `onnx.proto`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DataType(pub u64);

/// Number, name and bits of an element; strings have no size of their own.
const KNOWN: [(u64, &str, u64); 24] = [
    (1, "f32", 32),
    (2, "u8", 8),
    (3, "i8", 8),
    (4, "u16", 16),
    (5, "i16", 16),
    (6, "i32", 32),
    (7, "i64", 64),
    (8, "string", 0),
    (9, "bool", 8),
    (10, "f16", 16),
    (11, "f64", 64),
    (12, "u32", 32),
    (13, "u64", 64),
    (14, "complex64", 64),
    (15, "complex128", 128),
    (16, "bf16", 16),
    (17, "f8e4m3fn", 8),
    (18, "f8e4m3fnuz", 8),
    (19, "f8e5m2", 8),
    (20, "f8e5m2fnuz", 8),
    (21, "u4", 4),
    (22, "i4", 4),
    (23, "f4e2m1", 4),
    (24, "f8e8m0", 8),
];

impl DataType {
    /// 32-bit float.
    pub const F32: DataType = DataType(1);
    /// 16-bit float.
    pub const F16: DataType = DataType(10);
    /// 64-bit integer.
    pub const I64: DataType = DataType(7);
    /// 32-bit integer.
    pub const I32: DataType = DataType(6);
    /// Signed byte.
    pub const I8: DataType = DataType(3);
    /// Byte.
    pub const U8: DataType = DataType(2);
    /// Text.
    pub const STRING: DataType = DataType(8);

    fn known(self) -> Option<&'static (u64, &'static str, u64)> {
        KNOWN.iter().find(|(number, ..)| *number == self.0)
    }

    /// The bits of an element; none for strings and unknown types.
    pub fn bits(self) -> Option<u64> {
        self.known().map(|(.., bits)| *bits).filter(|bits| *bits > 0)
    }

    /// Whether it is a float.
    pub fn is_float(self) -> bool {
        self.known().is_some_and(|(_, name, _)| name.starts_with('f') || name.starts_with("bf"))
    }

    /// Whether it is an integer.
    pub fn is_integer(self) -> bool {
        self.known().is_some_and(|(_, name, _)| name.starts_with(['i', 'u']))
    }
}

impl fmt::Display for DataType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.known() {
            Some((_, name, _)) => f.write_str(name),
            None => write!(f, "type {}", self.0),
        }
    }
}
