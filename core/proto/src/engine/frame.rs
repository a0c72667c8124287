//! The versioned envelope around every room's messages (core/docs/wire.md).

use bytes::{Bytes, BytesMut};

use crate::base::{Error, ErrorKind, Result, limits};

/// A message between two members.
#[derive(Debug, Clone, PartialEq)]
pub enum Message {}

impl Message {
    /// About how many bytes it takes on the wire, for bounding what waits on a link.
    #[must_use]
    pub fn weight(&self) -> usize {
        0
    }
}

/// Writes messages as frames; neighbours that can share a frame do (natural batching).
#[derive(Debug, Default)]
pub struct Writer {}

impl Writer {
    /// Appends `message` to `out`; it may stay open for its neighbour until [`Writer::finish`].
    pub fn push(&mut self, message: &Message, out: &mut BytesMut) {
        let _ = (message, out);
    }

    /// Completes the frame that is open, if any. Call before `out` is written to a socket.
    pub fn finish(&mut self, out: &mut BytesMut) {
        let _ = out;
    }
}

/// Bytes of a frame's header: its length (u32, little-endian, without these four bytes).
pub const HEADER_BYTES: usize = 4;

/// Cuts the next whole frame off `buffer`: none when more bytes are needed. What it answers shares
/// the buffer's memory.
///
/// Errors: 104 for a frame over `frame_bytes_max`, before any of it is read or allocated for.
pub fn cut(buffer: &mut BytesMut, frame_bytes_max: usize) -> Result<Option<Bytes>> {
    let Some(header) = buffer.first_chunk::<HEADER_BYTES>() else {
        return Ok(None);
    };
    let length = u32::from_le_bytes(*header) as usize;
    if length > frame_bytes_max {
        return Err(Error::new(ErrorKind::TooLarge)
            .because("the peer announced a frame over the limit")
            .with("bytes", length)
            .with("bytes_max", frame_bytes_max));
    }
    if buffer.len() < HEADER_BYTES + length {
        return Ok(None);
    }
    let mut frame = buffer.split_to(HEADER_BYTES + length);
    let _ = frame.split_to(HEADER_BYTES);
    Ok(Some(frame.freeze()))
}

/// The message in a frame that [`cut`] gave; none for a kind this version does not know, which is
/// skipped and counted. Errors: 503 for malformed bytes: the link must be closed.
pub fn decode(frame: Bytes) -> Result<Option<Message>> {
    debug_assert!(frame.len() <= limits::FRAME_BYTES_MAX);
    Ok(None)
}
