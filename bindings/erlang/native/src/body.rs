//! Bodies on their way in and out.
//!
//! Up to [`COPY_MAX`] bytes are copied: that is cheaper than any sharing. Larger ones are shared
//! both ways, which is safe because binaries are immutable on both sides of the door.

use bytes::Bytes;
use rustler::{Binary, Encoder, Env, NewBinary, OwnedEnv, Resource, ResourceArc, Term};

/// Bodies up to this many bytes are copied. A copy of 4 KiB costs about as much as the bookkeeping
/// of a shared one.
pub(crate) const COPY_MAX: usize = 4 << 10;

/// Bytes of the small bodies of a batch that share one allocation.
const JOIN_MAX: usize = 1 << 10;
/// The VM keeps binaries of up to this many bytes on the process's own heap.
const HEAP_MAX: usize = 64;

/// The bytes under a shared binary. Not the delivery itself: a body that is kept must not keep a
/// lease.
struct BodyRes(Bytes);

#[rustler::resource_impl]
impl Resource for BodyRes {}

/// A body as a binary.
pub(crate) fn encode<'a>(env: Env<'a>, body: &Bytes) -> Term<'a> {
    if body.len() <= COPY_MAX {
        return NewBinary::from_slice(env, body).into();
    }
    ResourceArc::new(BodyRes(body.clone()))
        .make_binary(env, |shared| &shared.0)
        .encode(env)
}

/// The bodies of a batch as binaries, in their order.
///
/// Small neighbours become parts of one binary of up to [`COPY_MAX`] bytes, which spares the VM an
/// allocation for each; a part that is kept keeps no more than that.
pub(crate) fn encode_many<'a>(env: Env<'a>, bodies: &[&Bytes]) -> Vec<Term<'a>> {
    let mut terms = Vec::with_capacity(bodies.len());
    let mut rest = bodies;
    while let Some((first, others)) = rest.split_first() {
        let mut total = 0;
        let count = rest
            .iter()
            .take_while(|body| {
                total += body.len();
                is_joined(body) && total <= COPY_MAX
            })
            .count();
        match rest.split_at_checked(count) {
            Some((joined, after)) if count > 1 => {
                join(env, joined, &mut terms);
                rest = after;
            }
            _ => {
                terms.push(encode(env, first));
                rest = others;
            }
        }
    }
    terms
}

/// Smaller ones live on the process's heap, larger ones deserve a binary of their own.
fn is_joined(body: &Bytes) -> bool {
    (HEAP_MAX + 1..=COPY_MAX / 4).contains(&body.len())
}

fn join<'a>(env: Env<'a>, bodies: &[&Bytes], terms: &mut Vec<Term<'a>>) {
    let total = bodies.iter().map(|body| body.len()).sum();
    let mut whole = NewBinary::new(env, total);
    let mut place = whole.as_mut_slice();
    for body in bodies {
        let (here, after) = place.split_at_mut(body.len());
        here.copy_from_slice(body);
        place = after;
    }
    let whole: Binary = whole.into();
    let mut start = 0;
    for body in bodies {
        // SAFETY: the lengths of all bodies add up to the whole's.
        let part = unsafe { whole.make_subbinary_unchecked(start, body.len()) };
        terms.push(part.into());
        start += body.len();
    }
}

/// A binary as a body.
pub(crate) fn decode(binary: &Binary) -> Bytes {
    if binary.len() <= COPY_MAX {
        return Bytes::copy_from_slice(binary.as_slice());
    }
    Bytes::from_owner(Borrowed::new(binary))
}

/// Takes the bodies of a batch: small neighbours share one allocation of up to [`JOIN_MAX`] bytes, so
/// that a message that stays long after its neighbours holds no more than that.
#[derive(Default)]
pub(crate) struct Batch {
    bodies: Vec<Bytes>,
    block: Vec<u8>,
    /// Where the bodies in the block end.
    ends: Vec<usize>,
}

impl Batch {
    pub(crate) fn len(&self) -> usize {
        self.bodies.len() + self.ends.len()
    }

    pub(crate) fn push(&mut self, binary: &Binary) {
        let bytes = binary.as_slice();
        if self.block.len() + bytes.len() > JOIN_MAX {
            self.flush();
        }
        if bytes.len() > JOIN_MAX {
            self.bodies.push(decode(binary));
            return;
        }
        if self.block.capacity() == 0 {
            self.block.reserve_exact(JOIN_MAX);
        }
        self.block.extend_from_slice(bytes);
        self.ends.push(self.block.len());
    }

    fn flush(&mut self) {
        let mut block = std::mem::take(&mut self.block);
        if block.len() < JOIN_MAX / 2 {
            block.shrink_to_fit();
        }
        let block = Bytes::from(block);
        let mut start = 0;
        for end in self.ends.drain(..) {
            self.bodies.push(block.slice(start..end));
            start = end;
        }
    }

    pub(crate) fn finish(mut self) -> Vec<Bytes> {
        self.flush();
        self.bodies
    }
}

/// A large binary of the VM's, held alive by an environment of its own.
struct Borrowed {
    env: OwnedEnv,
    data: *const u8,
    len: usize,
}

impl Borrowed {
    fn new(binary: &Binary) -> Self {
        let env = OwnedEnv::new();
        // The copied term refers to the same bytes: a binary of this size is counted, not copied,
        // and the VM lets go of its right to grow it in place.
        let (data, len) = env.run(|inner| {
            let term = binary.to_term(inner);
            Binary::from_term(term)
                .map_or((std::ptr::null(), 0), |kept| (kept.as_ptr(), kept.len()))
        });
        Self { env, data, len }
    }
}

impl AsRef<[u8]> for Borrowed {
    fn as_ref(&self) -> &[u8] {
        let _alive = &self.env;
        if self.data.is_null() {
            return &[];
        }
        // SAFETY: `data` and `len` describe a reference-counted binary that `env` holds until this
        // value is dropped; the VM neither moves nor writes such bytes.
        unsafe { std::slice::from_raw_parts(self.data, self.len) }
    }
}

// SAFETY: an `OwnedEnv` may be freed on any thread, and the bytes are immutable.
unsafe impl Send for Borrowed {}
// SAFETY: shared access only reads immutable bytes.
unsafe impl Sync for Borrowed {}
