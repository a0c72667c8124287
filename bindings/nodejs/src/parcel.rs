//! [`Parcel`]: values that travel to JavaScript in a tray, whatever they are.

use primer::{
    Broadcast, Change, Delivery, Diagnosis, Entry, Error, ErrorKind, Explanation, Page, Redriven,
    Reply, Result,
};

use crate::pack::{self, HEAD, Writer, word};
use crate::room::{Owned, Room};

/// Values of one kind, on their way into a tray.
pub(crate) enum Parcel {
    Deliveries(Vec<Delivery>),
    Reply(Reply),
    Page(Page),
    Explanation(Explanation),
    Redriven(Redriven),
    Diagnosis(Diagnosis),
    Broadcasts(Vec<Broadcast>),
    Entries(Vec<Entry>),
    Changes(Vec<Change>),
}

impl Default for Parcel {
    fn default() -> Self {
        Self::Deliveries(Vec::new())
    }
}

impl Parcel {
    fn len(&self) -> usize {
        match self {
            Self::Deliveries(list) => list.len(),
            Self::Reply(_)
            | Self::Page(_)
            | Self::Explanation(_)
            | Self::Redriven(_)
            | Self::Diagnosis(_) => 1,
            Self::Broadcasts(list) => list.len(),
            Self::Entries(list) => list.len(),
            Self::Changes(list) => list.len(),
        }
    }

    /// Bytes that it takes in a tray, padding included.
    fn bytes(&self) -> usize {
        match self {
            Self::Deliveries(list) => pack::deliveries_bytes(list),
            Self::Reply(reply) => pack::reply_bytes(reply),
            Self::Page(page) => pack::page_bytes(page),
            Self::Explanation(explanation) => pack::explanation_bytes(explanation),
            Self::Redriven(redriven) => pack::redriven_bytes(redriven),
            Self::Diagnosis(diagnosis) => pack::diagnosis_bytes(diagnosis),
            Self::Broadcasts(list) => list.iter().map(pack::broadcast_bytes).sum(),
            Self::Entries(list) => {
                let each = |one: &Entry| pack::entry_bytes(&one.key, values(one));
                list.iter().map(each).sum()
            }
            Self::Changes(list) => {
                let each = |one: &Change| pack::entry_bytes(&one.key, one.value.iter());
                list.iter().map(each).sum()
            }
        }
    }

    /// Lets go of what it holds without giving it back: deliveries keep their leases.
    pub(crate) fn keep(self) {
        if let Self::Deliveries(list) = self {
            list.into_iter().for_each(Delivery::keep);
        }
    }
}

/// The value that is read, then those that lost to it.
fn values(entry: &Entry) -> impl Iterator<Item = &primer::Bytes> + Clone {
    std::iter::once(&entry.value).chain(&entry.others)
}

impl Room {
    /// Writes what JavaScript asked for into its tray, or keeps it until it brings a larger one.
    /// Errors: 104 for more than any tray can hold.
    pub(crate) fn hand_over(
        &mut self,
        host: u32,
        parcel: Parcel,
        tray: &mut [u8],
        at: u32,
    ) -> Result<f64> {
        let start = at as usize;
        let mut writer = Writer::new(tray, start);
        writer.skip_head();
        let needed = parcel.bytes();
        if needed > writer.left() {
            // Sizes are told in words of 32 bits: only a list of keys can be that large.
            if u32::try_from(HEAD.saturating_add(needed)).is_err() {
                let error = Error::new(ErrorKind::TooLarge).because("more than 4 GiB at a time");
                return Err(error.with("bytes", needed));
            }
            self.host(host)?.parcel = parcel;
            pack::no_space(tray, start, HEAD + needed)?;
            return Ok(0.0);
        }
        let records = word(parcel.len());
        self.lay_out(host, parcel, &mut writer)?;
        let end = writer.at();
        pack::head(tray, start, end, records)?;
        Ok(0.0)
    }

    /// Writes a parcel; deliveries are given handles.
    pub(crate) fn lay_out(&mut self, host: u32, parcel: Parcel, writer: &mut Writer) -> Result<()> {
        match parcel {
            Parcel::Deliveries(list) => list.into_iter().try_for_each(|value| {
                let handle = self.deliveries.put(Owned { host, value });
                match self.deliveries.get(handle) {
                    Some(owned) => writer.delivery(handle, &owned.value),
                    None => Ok(()),
                }
            }),
            Parcel::Reply(reply) => writer.reply(&reply),
            Parcel::Page(page) => writer.page(&page),
            Parcel::Explanation(explanation) => writer.explanation(&explanation),
            Parcel::Redriven(redriven) => writer.redriven(&redriven),
            Parcel::Diagnosis(diagnosis) => writer.diagnosis(&diagnosis),
            Parcel::Broadcasts(list) => list.iter().try_for_each(|one| writer.broadcast(one)),
            Parcel::Entries(list) => list
                .iter()
                .try_for_each(|one| writer.entry(one.at_ms, &one.key, values(one))),
            Parcel::Changes(list) => list
                .iter()
                .try_for_each(|one| writer.entry(0, &one.key, one.value.iter())),
        }
    }
}
