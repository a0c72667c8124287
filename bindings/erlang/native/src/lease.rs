//! [`Lease`]: the handle of a delivery, a reference that the VM counts.
//!
//! One is made for every message and looked at again when it is settled, so this is a resource type
//! by hand: rustler finds a type by hashing its name's number each time, here it is one load.

use std::ffi::{c_int, c_void};
use std::mem::{ManuallyDrop, align_of, size_of};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicPtr, Ordering};

use primer::Delivery;
use rustler::sys::{
    ErlNifEnv, ErlNifResourceDtor, ErlNifResourceFlags, ErlNifResourceType, ErlNifResourceTypeInit,
    enif_alloc_resource, enif_get_resource, enif_init_resource_type, enif_make_resource,
    enif_release_resource,
};
use rustler::{Decoder, Env, NifResult, Term};

use crate::courier::Face;

/// A message on lease. When the VM has collected the last reference to it, it is dropped, and if it
/// is unsettled the message goes back.
pub(crate) struct Lease {
    pub(crate) delivery: Delivery,
    pub(crate) face: Arc<Face>,
}

// The VM shares it between processes and drops it on any thread.
const _: () = is_shared::<Lease>();
const fn is_shared<T: Send + Sync + 'static>() {}

/// Bytes of a resource: the VM promises no alignment of what it allocates.
const ROOM: usize = size_of::<Lease>() + align_of::<Lease>() - 1;
/// Members of [`ErlNifResourceTypeInit`] that are filled in: the destructor is the first.
const FILLED: c_int = 1;

/// The resource type, set once while the library is loaded, before any other function of it runs.
static TYPE: AtomicPtr<ErlNifResourceType> = AtomicPtr::new(ptr::null_mut());

/// Makes the resource type; to be called while the library is loaded. False: the VM refused.
pub(crate) fn register(env: Env) -> bool {
    let init = ErlNifResourceTypeInit {
        dtor: collected as *const ErlNifResourceDtor,
        stop: ptr::null(),
        down: ptr::null(),
        members: FILLED,
        dyncall: ptr::null(),
    };
    let mut tried = ErlNifResourceFlags::ERL_NIF_RT_CREATE;
    // SAFETY: `env` is that of the load callback, and what is pointed to lives during the call.
    let made = unsafe {
        enif_init_resource_type(
            env.as_c_arg(),
            c"primer_lease".as_ptr(),
            &raw const init,
            ErlNifResourceFlags::ERL_NIF_RT_CREATE,
            &raw mut tried,
        )
    };
    if made.is_null() {
        // As with a second copy of the module: the first one's leases go on.
        return false;
    }
    TYPE.store(made.cast_mut(), Ordering::Release);
    true
}

/// Where the lease is inside what the VM allocated.
///
/// # Safety
/// `room` points to [`ROOM`] bytes.
unsafe fn place(room: *const c_void) -> *mut Lease {
    let start = room.cast_mut().cast::<u8>();
    // SAFETY: at most the alignment less one, for which the room has space.
    unsafe { start.add(start.align_offset(align_of::<Lease>())).cast() }
}

/// The VM has collected the last reference.
unsafe extern "C" fn collected(_: *mut ErlNifEnv, room: *mut c_void) {
    // A panic must not reach the VM.
    let _ = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: `Lease::encode_from` wrote a lease here, and the VM calls this once and last.
        unsafe { ptr::drop_in_place(place(room)) }
    }));
}

impl Lease {
    /// The only reference to a new one, as a term.
    pub(crate) fn encode<'a>(env: Env<'a>, face: &Arc<Face>, delivery: Delivery) -> Term<'a> {
        let delivery = ManuallyDrop::new(delivery);
        // SAFETY: it is moved out of what will not be dropped.
        unsafe { Self::encode_from(env, face, &raw const *delivery) }
    }

    /// The same of a batch, in its order.
    pub(crate) fn encode_many<'a>(
        env: Env<'a>,
        face: &Arc<Face>,
        mut deliveries: Vec<Delivery>,
    ) -> Vec<Term<'a>> {
        let mut terms = Vec::with_capacity(deliveries.len());
        let batch = deliveries.as_ptr_range();
        // SAFETY: none is left in the vector, which only frees its memory at the end; each is moved
        // out of it once. (A delivery is large: an iterator would move it three times.)
        unsafe {
            deliveries.set_len(0);
            let mut next = batch.start;
            while next < batch.end {
                terms.push(Self::encode_from(env, face, next));
                next = next.add(1);
            }
        }
        terms
    }

    /// # Safety
    /// The delivery is moved: the caller must not use or drop it again.
    unsafe fn encode_from<'a>(
        env: Env<'a>,
        face: &Arc<Face>,
        delivery: *const Delivery,
    ) -> Term<'a> {
        let kind = TYPE.load(Ordering::Relaxed);
        // SAFETY: the type was made while the library was loaded, or no function would run. The VM
        // answers ROOM bytes (it aborts when out of memory) that hold a lease before anyone else can
        // see them. Our own reference ends with the release: the term's is left.
        unsafe {
            let room = enif_alloc_resource(kind, ROOM);
            let lease = place(room);
            ptr::copy_nonoverlapping(delivery, &raw mut (*lease).delivery, 1);
            (&raw mut (*lease).face).write(Arc::clone(face));
            let term = enif_make_resource(env.as_c_arg(), room);
            enif_release_resource(room);
            Term::new(env, term)
        }
    }
}

impl<'a> Decoder<'a> for &'a Lease {
    fn decode(term: Term<'a>) -> NifResult<Self> {
        let kind = TYPE.load(Ordering::Relaxed);
        let mut room = ptr::null();
        // SAFETY: the VM only answers a resource of this type, which holds a lease, and which lives
        // at least as long as the term and so as its environment.
        unsafe {
            if enif_get_resource(
                term.get_env().as_c_arg(),
                term.as_c_arg(),
                kind,
                &raw mut room,
            ) == 0
            {
                return Err(rustler::Error::BadArg);
            }
            Ok(&*place(room))
        }
    }
}
