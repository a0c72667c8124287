//! Writes what [`super::Reader`] reads.

use bytes::{BufMut, BytesMut};

/// Appends values to a buffer.
pub trait Put {
    /// A varint (LEB128).
    fn put_varint(&mut self, value: u64);
    /// A length and the bytes.
    fn put_slice_with_length(&mut self, bytes: &[u8]);
}

impl Put for BytesMut {
    fn put_varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.put_u8(value as u8 | 0x80);
            value >>= 7;
        }
        self.put_u8(value as u8);
    }

    fn put_slice_with_length(&mut self, bytes: &[u8]) {
        self.put_varint(bytes.len() as u64);
        self.extend_from_slice(bytes);
    }
}
