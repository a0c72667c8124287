//! Reads what a peer wrote and believes nothing: every length is checked against the bytes in hand.

use alloc::string::String;
use bytes::Bytes;

use crate::base::{Error, ErrorKind, Result};

/// Reads values from the front of some bytes. Every failure is 503: the link must be closed.
#[derive(Debug)]
pub struct Reader {
    bytes: Bytes,
    at: usize,
}

fn short() -> Error {
    Error::new(ErrorKind::Corrupt).because("the frame ends too early")
}

impl Reader {
    /// A reader of `bytes`.
    #[must_use]
    pub fn new(bytes: Bytes) -> Self {
        Self { bytes, at: 0 }
    }

    /// Bytes not yet read.
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// One byte.
    pub fn u8(&mut self) -> Result<u8> {
        let byte = *self.bytes.get(self.at).ok_or_else(short)?;
        self.at += 1;
        Ok(byte)
    }

    /// Eight bytes, little-endian.
    pub fn u64(&mut self) -> Result<u64> {
        self.array().map(u64::from_le_bytes)
    }

    /// Four bytes, little-endian.
    pub fn u32(&mut self) -> Result<u32> {
        self.array().map(u32::from_le_bytes)
    }

    /// Sixteen bytes, little-endian.
    pub fn u128(&mut self) -> Result<u128> {
        self.array().map(u128::from_le_bytes)
    }

    /// A varint (LEB128), at most ten bytes.
    pub fn varint(&mut self) -> Result<u64> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.u8()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                break;
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Error::new(ErrorKind::Corrupt).because("a number is too long"))
    }

    /// A varint that must fit 32 bits.
    pub fn varint32(&mut self) -> Result<u32> {
        u32::try_from(self.varint()?)
            .map_err(|_| Error::new(ErrorKind::Corrupt).because("a number is too large"))
    }

    /// A count of things that take at least `each` bytes: never more than the bytes in hand could
    /// hold, so that it may size an allocation.
    pub fn count(&mut self, each: usize) -> Result<usize> {
        let count = usize::try_from(self.varint()?).unwrap_or(usize::MAX);
        if count > self.remaining() / each.max(1) {
            return Err(short());
        }
        Ok(count)
    }

    /// A length and that many bytes, sharing the frame's memory.
    pub fn bytes(&mut self) -> Result<Bytes> {
        let length = self.count(1)?;
        let end = self.at + length;
        let slice = self.bytes.slice(self.at..end);
        self.at = end;
        Ok(slice)
    }

    /// A length and that many bytes of UTF-8.
    pub fn string(&mut self) -> Result<String> {
        let bytes = self.bytes()?;
        core::str::from_utf8(&bytes)
            .map(Into::into)
            .map_err(|_| Error::new(ErrorKind::Corrupt).because("text is not UTF-8"))
    }

    /// The length of the whole.
    #[must_use]
    pub fn total(&self) -> usize {
        self.bytes.len()
    }

    /// Fails unless everything was read.
    pub fn finish(&self) -> Result<()> {
        if self.remaining() == 0 {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Corrupt).because("the frame holds more than it says"))
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let rest = self.bytes.get(self.at..).ok_or_else(short)?;
        let array = *rest.first_chunk::<N>().ok_or_else(short)?;
        self.at += N;
        Ok(array)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Put;
    use bytes::BytesMut;

    #[test]
    fn numbers_survive_and_overlong_ones_are_refused() {
        for value in [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX] {
            let mut out = BytesMut::new();
            out.put_varint(value);
            assert_eq!(Reader::new(out.freeze()).varint().unwrap(), value);
        }
        let long = Bytes::from_static(&[0xff; 11]);
        assert_eq!(Reader::new(long).varint().unwrap_err().number(), 503);
    }

    #[test]
    fn a_length_never_reaches_beyond_the_bytes_in_hand() {
        let mut out = BytesMut::new();
        out.put_varint(1_000_000);
        out.extend_from_slice(b"few");
        assert!(Reader::new(out.clone().freeze()).bytes().is_err());
        assert!(Reader::new(out.freeze()).count(1).is_err());
    }
}
