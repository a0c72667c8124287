//! A slab: values at small numbers that are given out again after they are freed. The numbers cross the
//! border as handles, start at 1 (0 is nobody's) and are checked at every look, so that a wrong one is an
//! error and never a wild read.

/// Values by small numbers.
pub(crate) struct Slab<T> {
    slots: Vec<Option<T>>,
    free: Vec<u32>,
}

impl<T> Slab<T> {
    /// An empty slab.
    pub(crate) const fn new() -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
        }
    }

    /// Lays `value` down and answers its handle.
    pub(crate) fn put(&mut self, value: T) -> u32 {
        if let Some(handle) = self.free.pop()
            && let Some(slot) = self.slot(handle)
        {
            *slot = Some(value);
            return handle;
        }
        self.slots.push(Some(value));
        u32::try_from(self.slots.len()).unwrap_or(u32::MAX)
    }

    /// The value at `handle`.
    pub(crate) fn get(&self, handle: u32) -> Option<&T> {
        let index = (handle as usize).checked_sub(1)?;
        self.slots.get(index)?.as_ref()
    }

    /// The value at `handle`, to change it.
    pub(crate) fn get_mut(&mut self, handle: u32) -> Option<&mut T> {
        self.slot(handle)?.as_mut()
    }

    /// Takes the value at `handle` out; the handle may be given out again.
    pub(crate) fn take(&mut self, handle: u32) -> Option<T> {
        let value = self.slot(handle)?.take()?;
        self.free.push(handle);
        Some(value)
    }

    /// Takes out every value for which `is_wanted` says so.
    pub(crate) fn take_all(&mut self, is_wanted: impl Fn(&T) -> bool) -> Vec<T> {
        let handles: Vec<u32> = (1..)
            .zip(&self.slots)
            .filter(|(_, slot)| slot.as_ref().is_some_and(&is_wanted))
            .map(|(handle, _)| handle)
            .collect();
        handles
            .into_iter()
            .filter_map(|handle| self.take(handle))
            .collect()
    }

    fn slot(&mut self, handle: u32) -> Option<&mut Option<T>> {
        let index = (handle as usize).checked_sub(1)?;
        self.slots.get_mut(index)
    }
}

#[cfg(test)]
mod tests {
    use super::Slab;

    #[test]
    fn a_freed_handle_is_empty_and_given_out_again() {
        let mut slab = Slab::new();
        let (one, two) = (slab.put("one"), slab.put("two"));
        assert_eq!((one, two), (1, 2));
        assert_eq!(slab.take(one), Some("one"));
        assert_eq!(slab.take(one), None);
        assert_eq!(slab.get(one), None);
        assert_eq!(slab.put("three"), one);
        assert_eq!(slab.get(two), Some(&"two"));
    }

    #[test]
    fn a_handle_that_was_never_given_out_is_nobody() {
        let mut slab: Slab<u8> = Slab::new();
        assert_eq!(slab.get(0), None);
        assert_eq!(slab.take(u32::MAX), None);
    }

    #[test]
    fn what_is_wanted_is_taken_and_the_rest_stays() {
        let mut slab = Slab::new();
        let handles: Vec<u32> = (0..4).map(|n| slab.put(n)).collect();
        assert_eq!(slab.take_all(|n| n % 2 == 0), [0, 2]);
        assert_eq!(slab.get(handles[1]), Some(&1));
        assert_eq!(slab.get(handles[2]), None);
    }
}
