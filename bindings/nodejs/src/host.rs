//! Verbs of one loaded copy of `lib/`: attach, drain late answers, ask why something failed, end.

use napi::bindgen_prelude::{Env, Function, Result as NapiResult, Uint8ArraySlice};
use napi::threadsafe_function::ThreadsafeFunctionCallMode::NonBlocking;
use napi_derive::napi;
use primer::{Completion, Completions, Error, Outcome, Result};

use crate::pack::{self, HEAD, Kind, RECEIPT, Writer, bytes_of, word};
use crate::parcel::Parcel;
use crate::room::{Host, Room, guarded, internal, verb};

/// Late answers taken from Primer at a time, so that one turn of the loop stays short.
const DRAIN_MAX: usize = 1_024;

/// Why a verb failed.
#[napi(object)]
pub struct Failure {
    /// The stable number, 101 to 599.
    pub number: u32,
    /// The stable name.
    pub kind: String,
    /// What happened, as a phrase; may be empty.
    pub reason: String,
    /// All of it in one line.
    pub message: String,
    /// Names and values that matter, in turn.
    pub context: Vec<String>,
}

impl From<&Error> for Failure {
    fn from(error: &Error) -> Self {
        let context = error.context().iter();
        Self {
            number: u32::from(error.number()),
            kind: error.kind().name().to_owned(),
            reason: error.reason().to_owned(),
            message: error.to_string(),
            context: context
                .flat_map(|(name, value)| [(*name).to_owned(), value.clone()])
                .collect(),
        }
    }
}

/// Begins a host whose late answers call `wake` once a batch, and answers its handle. It does not keep the
/// process alive. It ends with [`shut`], or with the thread.
#[napi(catch_unwind)]
pub fn attach(env: Env, wake: Function<(), ()>) -> NapiResult<u32> {
    let builder = wake.build_threadsafe_function::<()>();
    let wake = builder.callee_handled::<false>().weak::<true>().build()?;
    let completions = Completions::with_waker(move || {
        // Refused while the thread is ending: then nobody is left to be woken.
        let _ = wake.call((), NonBlocking);
    });
    let host = guarded(|room| {
        Ok(room.hosts.put(Host {
            completions,
            late: Default::default(),
            parcel: Parcel::default(),
        }))
    })
    .map_err(|error| napi::Error::from_reason(error.to_string()))?;
    env.add_env_cleanup_hook(host, |host| {
        let _ = guarded(|room| {
            room.shut(host);
            Ok(())
        });
    })?;
    Ok(host)
}

/// Ends a host and closes its members, flushing for at most a second. Idempotent.
#[napi(catch_unwind)]
pub fn shut(host: u32) -> f64 {
    verb(|room| {
        room.shut(host);
        Ok(0.0)
    })
}

/// Why the verb failed that answered minus `place`; taken away by asking.
#[napi(catch_unwind)]
pub fn failure(place: u32) -> Failure {
    let taken = guarded(|room| {
        room.failures
            .take(place)
            .ok_or_else(|| internal("the reason is lost"))
    });
    Failure::from(&taken.unwrap_or_else(|error| error))
}

/// Stops waiting for `ticket`; 0 when its answer had come already, else 1.
#[napi(catch_unwind)]
pub fn cancel(host: u32, ticket: f64) -> f64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a ticket, below 2^53"
    )]
    verb(|room| {
        Ok(f64::from(u8::from(
            room.completions(host)?.cancel(ticket as u64),
        )))
    })
}

/// Writes late answers into `tray` from `at` on; the head says how many, and how much space the next needs
/// when there was not enough. Answers 0 when nothing more is there, else 1: only after a 0 does the host wake
/// up again.
#[napi(catch_unwind)]
pub fn drain(host: u32, mut tray: Uint8ArraySlice, at: u32) -> f64 {
    let tray = bytes_of(&mut tray);
    verb(|room| {
        let start = at as usize;
        let ours = room.host(host)?;
        let mut is_all = false;
        if ours.late.is_empty() {
            ours.late.extend(ours.completions.drain(DRAIN_MAX));
            is_all = ours.late.len() < DRAIN_MAX;
        }
        let mut writer = Writer::new(tray, start);
        writer.skip_head();
        let mut records = 0;
        while let Some(completion) = room.host(host)?.late.pop_front() {
            let needed = size_of(&completion);
            if needed > writer.left() {
                room.host(host)?.late.push_front(completion);
                if records == 0 {
                    pack::no_space(tray, start, HEAD + needed)?;
                    return Ok(1.0);
                }
                break;
            }
            write(room, host, completion, &mut writer)?;
            records += 1;
        }
        let end = writer.at();
        pack::head(tray, start, end, records)?;
        // Only a drain that found nothing more armed the wake-up again.
        let is_done = is_all && room.host(host)?.late.is_empty();
        Ok(f64::from(u8::from(!is_done)))
    })
}

/// Writes what the verb before it found too little space for.
#[napi(catch_unwind)]
pub fn unpack(host: u32, mut tray: Uint8ArraySlice, at: u32) -> f64 {
    let tray = bytes_of(&mut tray);
    verb(|room| {
        let parcel = std::mem::take(&mut room.host(host)?.parcel);
        room.hand_over(host, parcel, tray, at)
    })
}

fn size_of(completion: &Completion) -> usize {
    let body = match &completion.outcome {
        Ok(Outcome::Receipt(_)) => RECEIPT,
        Ok(Outcome::Reply(reply)) => pack::reply_bytes(reply),
        Ok(Outcome::Page(page)) => pack::page_bytes(page),
        Ok(Outcome::Explanation(explanation)) => pack::explanation_bytes(explanation),
        Ok(Outcome::Redriven(redriven)) => pack::redriven_bytes(redriven),
        Ok(Outcome::Diagnosis(diagnosis)) => pack::diagnosis_bytes(diagnosis),
        Ok(Outcome::Receipts(receipts)) => RECEIPT * receipts.len(),
        Ok(Outcome::Deliveries(deliveries)) => pack::deliveries_bytes(deliveries),
        Ok(Outcome::Delivery(delivery)) => pack::deliveries_bytes(std::slice::from_ref(delivery)),
        Ok(Outcome::Event(_) | Outcome::Broadcast(_) | Outcome::Change(_)) => 0,
        Ok(Outcome::Done | Outcome::Ready) | Err(_) => 0,
    };
    HEAD + body
}

fn write(room: &mut Room, host: u32, completion: Completion, writer: &mut Writer) -> Result<()> {
    let ticket = completion.ticket;
    match completion.outcome {
        Err(error) => writer.completion(ticket, Kind::Failure, room.failures.put(error)),
        Ok(Outcome::Ready) => writer.completion(ticket, Kind::Ready, 0),
        // Readers are looked at, never waited for, so no news come this way.
        Ok(Outcome::Done | Outcome::Event(_) | Outcome::Broadcast(_) | Outcome::Change(_)) => {
            writer.completion(ticket, Kind::Done, 0)
        }
        Ok(Outcome::Receipt(receipt)) => {
            writer.completion(ticket, Kind::Receipts, 1)?;
            writer.receipt(&receipt)
        }
        Ok(Outcome::Reply(reply)) => {
            writer.completion(ticket, Kind::Reply, 1)?;
            writer.reply(&reply)
        }
        Ok(Outcome::Page(page)) => {
            writer.completion(ticket, Kind::Page, 1)?;
            writer.page(&page)
        }
        Ok(Outcome::Explanation(explanation)) => {
            writer.completion(ticket, Kind::Explanation, 1)?;
            writer.explanation(&explanation)
        }
        Ok(Outcome::Diagnosis(diagnosis)) => {
            writer.completion(ticket, Kind::Diagnosis, 1)?;
            writer.diagnosis(&diagnosis)
        }
        Ok(Outcome::Redriven(redriven)) => {
            writer.completion(ticket, Kind::Redriven, 1)?;
            writer.redriven(&redriven)
        }
        Ok(Outcome::Receipts(receipts)) => {
            writer.completion(ticket, Kind::Receipts, word(receipts.len()))?;
            receipts
                .iter()
                .try_for_each(|receipt| writer.receipt(receipt))
        }
        Ok(Outcome::Delivery(delivery)) => {
            writer.completion(ticket, Kind::Deliveries, 1)?;
            room.lay_out(host, Parcel::Deliveries(vec![delivery]), writer)
        }
        Ok(Outcome::Deliveries(deliveries)) => {
            writer.completion(ticket, Kind::Deliveries, word(deliveries.len()))?;
            room.lay_out(host, Parcel::Deliveries(deliveries), writer)
        }
    }
}
