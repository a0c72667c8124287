//! Slots whose handles are checked before use: the reason why a freed, foreign or invented handle
//! answers 101 instead of touching memory that is not its own.
//!
//! A handle is a number, never an address: a mark, the type's tag, a generation and an index. A slot
//! lives in a page that is never given back, so looking at a stale handle's slot is always sound; its
//! generation tells that the value is gone. A value that is being used by one thread while another
//! frees its handle is pinned, and dropped by whoever lets go last. A slot whose generations are used
//! up is retired, so no handle ever means two things.

use std::cell::UnsafeCell;
use std::mem::MaybeUninit;
use std::ops::Deref;
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Slots of the first page; each further page has twice as many.
const PAGE_SLOTS: u32 = 64;
/// Pages at most: 64 slots doubled 21 times make the 2^28 that an index can name.
const PAGES: usize = 22;
const INDEX_BITS: u32 = 28;
const INDEX_MAX: u32 = (1 << INDEX_BITS) - PAGE_SLOTS;
const GENERATION_MAX: u64 = (1 << 30) - 1;
/// Set in every handle: such a number is no user address on any 64-bit machine that Rust knows, so
/// an address that is passed for a handle is refused too.
const MARK: u64 = 1 << 63;
const TAG_SHIFT: u32 = 58;
/// Types of handles at most: what the bits between the mark and the generation can tell apart.
const TAGS: u64 = 1 << (63 - TAG_SHIFT);
/// No slot.
const NONE: u32 = u32::MAX;

/// In a slot's state: the value is there and its handle is not freed. Pins are counted below it, the
/// generation stands above.
const LIVE: u64 = 1 << 32;
const GENERATION_SHIFT: u32 = 33;

#[cfg(not(target_pointer_width = "64"))]
compile_error!("a handle needs 64 bits");

/// Every value of one type that C holds.
pub struct Table<T> {
    tag: u64,
    pages: [AtomicPtr<Slot<T>>; PAGES],
    free: Mutex<Free>,
}

struct Slot<T> {
    state: AtomicU64,
    /// The next free slot; touched under the lock only.
    next: AtomicU32,
    value: UnsafeCell<MaybeUninit<T>>,
}

/// Which slots may be taken.
struct Free {
    /// The first slot that was used before.
    head: u32,
    /// The first slot that was never used.
    fresh: u32,
    /// How many are behind `head`.
    count: u32,
    /// How many hold a value.
    live: u32,
}

/// Slots that were vacated together, and how many of them may be taken again.
struct Chain {
    first: u32,
    last: u32,
    count: u32,
    vacated: u32,
}

impl Default for Chain {
    fn default() -> Self {
        Self {
            first: NONE,
            last: NONE,
            count: 0,
            vacated: 0,
        }
    }
}

// SAFETY: a value is only reached through `pin` and `peek`, which give shared references (so T is
// Sync), and is dropped by any thread (so T is Send).
unsafe impl<T: Send + Sync> Sync for Table<T> {}

impl<T: Send + Sync + 'static> Table<T> {
    /// A table for the type with that tag, 0 to 31.
    pub const fn new(tag: u64) -> Self {
        // Told when the library is built: tables are statics.
        assert!(tag < TAGS, "a handle has no room for another type");
        Self {
            tag,
            pages: [const { AtomicPtr::new(ptr::null_mut()) }; PAGES],
            free: Mutex::new(Free {
                head: NONE,
                fresh: 0,
                count: 0,
                live: 0,
            }),
        }
    }

    /// How many values are there.
    pub fn live(&self) -> usize {
        self.lock().live as usize
    }

    /// Keeps `value` and answers its handle; gives it back when the table is full.
    pub fn insert(&self, value: T) -> Result<u64, T> {
        let mut free = self.lock();
        match self.pop(&mut free) {
            Some((index, slot)) => Ok(self.fill(index, slot, value)),
            None => Err(value),
        }
    }

    /// Keeps all of `values`, under one lock, and tells each handle in order. False, and all are
    /// dropped, when the table cannot hold them all.
    pub fn insert_many(
        &self,
        values: impl ExactSizeIterator<Item = T>,
        mut tell: impl FnMut(u64),
    ) -> bool {
        let mut free = self.lock();
        let room = u64::from(free.count) + u64::from(INDEX_MAX - free.fresh);
        let fits = values.len() as u64 <= room;
        if !fits {
            // Dropping a value may take long, and may come back here.
            drop(free);
            return false;
        }
        for value in values {
            if let Some((index, slot)) = self.pop(&mut free) {
                tell(self.fill(index, slot, value));
            }
        }
        true
    }

    /// The value of a live handle, kept alive until the answer is dropped.
    pub fn pin(&self, handle: u64) -> Option<Pin<'_, T>> {
        let (index, generation) = self.parts(handle)?;
        let slot = self.slot(index)?;
        let mut state = slot.state.load(Ordering::Relaxed);
        while is_live(state, generation) {
            match slot.state.compare_exchange_weak(
                state,
                state + 1,
                Ordering::Acquire,
                Ordering::Relaxed,
            ) {
                Ok(_) => {
                    return Some(Pin {
                        table: self,
                        slot,
                        index,
                    });
                }
                Err(now) => state = now,
            }
        }
        None
    }

    /// The value of a live handle without keeping it alive: for reads whose result points into the
    /// value anyway.
    ///
    /// # Safety
    /// The handle is not freed while the answer is used.
    pub unsafe fn peek(&self, handle: u64) -> Option<&T> {
        let (index, generation) = self.parts(handle)?;
        let slot = self.slot(index)?;
        if !is_live(slot.state.load(Ordering::Acquire), generation) {
            return None;
        }
        // SAFETY: live, so `fill` wrote the value before it published the state that was just
        // acquired; the caller promises that nobody frees it now.
        Some(unsafe { (*slot.value.get()).assume_init_ref() })
    }

    /// Ends a handle: the value is dropped now, or by the last thread that has it pinned. Answers
    /// false for a handle that is not live.
    pub fn remove(&self, handle: u64) -> bool {
        let Some((index, slot, is_unused)) = self.kill(handle) else {
            return false;
        };
        if is_unused {
            self.clear(index, slot);
        }
        true
    }

    /// Ends several handles, their slots given back under one lock.
    pub fn remove_many(&self, handles: impl Iterator<Item = u64>) {
        let mut chain = Chain::default();
        for handle in handles {
            if let Some((index, slot, true)) = self.kill(handle) {
                self.vacate(index, slot, &mut chain);
            }
        }
        self.give_back(chain);
    }

    /// Makes a handle dead. Answers its slot, and whether nobody has it pinned, when it was live.
    fn kill(&self, handle: u64) -> Option<(u32, &Slot<T>, bool)> {
        let (index, generation) = self.parts(handle)?;
        let slot = self.slot(index)?;
        let mut state = slot.state.load(Ordering::Relaxed);
        while is_live(state, generation) {
            match slot.state.compare_exchange_weak(
                state,
                state & !LIVE,
                Ordering::AcqRel,
                Ordering::Relaxed,
            ) {
                Ok(_) => return Some((index, slot, pins(state) == 0)),
                Err(now) => state = now,
            }
        }
        None
    }

    fn clear(&self, index: u32, slot: &Slot<T>) {
        let mut chain = Chain::default();
        self.vacate(index, slot, &mut chain);
        self.give_back(chain);
    }

    /// Drops a dead, unpinned slot's value and puts the slot, in its next generation, on the chain.
    fn vacate(&self, index: u32, slot: &Slot<T>, chain: &mut Chain) {
        // SAFETY: the handle is dead and no pin is left, so this thread alone reaches the value;
        // exactly one thread sees the step to that state. It was written by `fill`.
        unsafe { (*slot.value.get()).assume_init_drop() };
        let generation = (slot.state.load(Ordering::Relaxed) >> GENERATION_SHIFT) + 1;
        slot.state
            .store(generation << GENERATION_SHIFT, Ordering::Release);
        chain.vacated += 1;
        if generation <= GENERATION_MAX {
            slot.next.store(chain.first, Ordering::Relaxed);
            chain.first = index;
            chain.count += 1;
            if chain.last == NONE {
                chain.last = index;
            }
        }
    }

    fn give_back(&self, chain: Chain) {
        let mut free = self.lock();
        free.live -= chain.vacated;
        if let Some(last) = self.slot(chain.last) {
            last.next.store(free.head, Ordering::Relaxed);
            free.head = chain.first;
            free.count += chain.count;
        }
    }

    fn fill(&self, index: u32, slot: &Slot<T>, value: T) -> u64 {
        // SAFETY: a slot taken off the free list, or never used, is reached by this thread alone.
        unsafe { (*slot.value.get()).write(value) };
        let generation = slot.state.load(Ordering::Relaxed) >> GENERATION_SHIFT;
        slot.state
            .store(generation << GENERATION_SHIFT | LIVE, Ordering::Release);
        MARK | self.tag << TAG_SHIFT | generation << INDEX_BITS | u64::from(index)
    }

    fn pop(&self, free: &mut Free) -> Option<(u32, &Slot<T>)> {
        let index = if free.head == NONE {
            self.grow(free)?
        } else {
            free.head
        };
        let slot = self.slot(index)?;
        if free.head == NONE {
            free.fresh += 1;
        } else {
            free.head = slot.next.load(Ordering::Relaxed);
            free.count -= 1;
        }
        free.live += 1;
        Some((index, slot))
    }

    /// The next slot that was never used; makes its page when it is the first of it.
    fn grow(&self, free: &Free) -> Option<u32> {
        if free.fresh >= INDEX_MAX {
            return None;
        }
        let (page, _) = place(free.fresh);
        let page_at = self.pages.get(page)?;
        if page_at.load(Ordering::Relaxed).is_null() {
            let slots: Box<[Slot<T>]> = (0..PAGE_SLOTS << page)
                .map(|_| Slot {
                    state: AtomicU64::new(0),
                    next: AtomicU32::new(NONE),
                    value: UnsafeCell::new(MaybeUninit::uninit()),
                })
                .collect();
            page_at.store(Box::into_raw(slots).cast(), Ordering::Release);
        }
        Some(free.fresh)
    }

    fn slot(&self, index: u32) -> Option<&Slot<T>> {
        let (page, offset) = place(index);
        let first = self.pages.get(page)?.load(Ordering::Acquire);
        if first.is_null() {
            return None;
        }
        // SAFETY: `place` answers an offset below the page's size, and a page is never given back.
        Some(unsafe { &*first.add(offset) })
    }

    /// Index and generation of a handle of this table's type.
    fn parts(&self, handle: u64) -> Option<(u32, u64)> {
        let index = (handle & ((1 << INDEX_BITS) - 1)) as u32;
        let generation = handle >> INDEX_BITS & GENERATION_MAX;
        let is_ours = handle >> TAG_SHIFT == MARK >> TAG_SHIFT | self.tag;
        is_ours.then_some((index, generation))
    }

    fn lock(&self) -> MutexGuard<'_, Free> {
        // Nothing under this lock can panic half-way, so a poisoned one is still right.
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Which page an index is on, and where on it.
fn place(index: u32) -> (usize, usize) {
    let page = (index / PAGE_SLOTS + 1).ilog2();
    let before = PAGE_SLOTS * ((1 << page) - 1);
    (page as usize, (index - before) as usize)
}

fn is_live(state: u64, generation: u64) -> bool {
    state >> (GENERATION_SHIFT - 1) == generation << 1 | 1
}

fn pins(state: u64) -> u64 {
    state & (LIVE - 1)
}

/// A value in use.
pub struct Pin<'a, T: Send + Sync + 'static> {
    table: &'a Table<T>,
    slot: &'a Slot<T>,
    index: u32,
}

impl<T: Send + Sync> Deref for Pin<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: pinned while it was live, and a pinned value is not dropped.
        unsafe { (*self.slot.value.get()).assume_init_ref() }
    }
}

impl<T: Send + Sync> Drop for Pin<'_, T> {
    fn drop(&mut self) {
        let state = self.slot.state.fetch_sub(1, Ordering::AcqRel);
        if pins(state) == 1 && state & LIVE == 0 {
            self.table.clear(self.index, self.slot);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn a_handle_is_good_until_it_is_removed_and_never_again() {
        let table = Table::new(3);
        let first = table.insert(String::from("one")).unwrap();
        assert_eq!(*table.pin(first).unwrap(), "one");
        assert!(table.remove(first));
        assert!(!table.remove(first));
        assert!(table.pin(first).is_none());
        let second = table.insert(String::from("two")).unwrap();
        assert_ne!(first, second);
        assert!(table.pin(first).is_none(), "the slot has a new tenant");
        assert_eq!(table.live(), 1);
    }

    #[test]
    fn invented_handles_and_those_of_another_type_are_refused() {
        let (table, other) = (Table::new(1), Table::new(2));
        let handle = table.insert(7_u8).unwrap();
        assert!(other.insert(8_u8).is_ok());
        assert!(other.pin(handle).is_none());
        let local = 0_u8;
        for wrong in [
            0,
            1,
            u64::MAX,
            MARK,
            handle + 1,
            handle & !MARK,
            ptr::from_ref(&local) as u64,
        ] {
            assert!(table.pin(wrong).is_none(), "{wrong:x}");
            assert!(!table.remove(wrong), "{wrong:x}");
        }
    }

    #[test]
    fn many_values_fill_several_pages_and_each_handle_finds_its_own() {
        let table = Table::new(0);
        let mut handles = Vec::new();
        assert!(table.insert_many(0..1_000, |handle| handles.push(handle)));
        for (value, handle) in handles.iter().enumerate() {
            assert_eq!(*table.pin(*handle).unwrap() as usize, value);
        }
        assert!(table.remove(handles[500]));
        table.remove_many(handles.iter().copied());
        assert_eq!(table.live(), 0);
        let mut again = Vec::new();
        assert!(table.insert_many(0..1_000, |handle| again.push(handle)));
        assert!(handles.iter().all(|old| !again.contains(old)));
        assert_eq!(table.lock().fresh, 1_000, "every slot is used again");
    }

    #[test]
    fn the_places_are_dense_and_in_bounds() {
        let mut expected = (0, 0);
        for index in 0..10_000 {
            assert_eq!(place(index), expected);
            expected.1 += 1;
            if expected.1 == (PAGE_SLOTS << expected.0) as usize {
                expected = (expected.0 + 1, 0);
            }
        }
        assert_eq!(place(INDEX_MAX - 1).0, PAGES - 1);
    }

    #[test]
    fn a_pinned_value_outlives_its_handle() {
        let table = Table::new(0);
        let value = Arc::new(());
        let handle = table.insert(Arc::clone(&value)).unwrap();
        let pin = table.pin(handle).unwrap();
        assert!(table.remove(handle));
        assert!(table.pin(handle).is_none());
        assert_eq!(Arc::strong_count(&value), 2);
        drop(pin);
        assert_eq!(Arc::strong_count(&value), 1);
        assert_eq!(table.live(), 0);
    }

    #[test]
    fn threads_that_pin_and_free_the_same_handles_drop_each_value_once() {
        static TABLE: Table<Arc<()>> = Table::new(5);
        let value = Arc::new(());
        for _ in 0..200 {
            let handle = TABLE.insert(Arc::clone(&value)).unwrap();
            let freed: usize = std::thread::scope(|scope| {
                let threads: Vec<_> = (0..4)
                    .map(|_| {
                        scope.spawn(move || {
                            let pin = TABLE.pin(handle);
                            let freed = TABLE.remove(handle);
                            drop(pin);
                            usize::from(freed)
                        })
                    })
                    .collect();
                threads.into_iter().map(|t| t.join().unwrap()).sum()
            });
            assert_eq!(freed, 1);
            assert_eq!(Arc::strong_count(&value), 1);
        }
    }
}
