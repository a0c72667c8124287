//! Primer for Erlang and Elixir: the NIF under `primer_nif.erl`.
//!
//! This crate only translates: it reads terms, calls one verb of the `primer` crate and writes terms.
//! No function here waits: a verb that the engine answers at once is answered at once, any other
//! one becomes a [`later::LaterRes`], whose answer a thread of Primer's own ([`courier`]) sends as a
//! message. Handles are NIF resources; what an Erlang process held is given back when it dies.
//!
//! Rooms: [`atoms`], [`terms`] and [`options`] know terms; [`courier`] and [`later`] bring late
//! answers; [`member`], [`gossip`], [`queue`], [`delivery`], [`subscription`] and [`reader`] hold the verbs;
//! [`body`] and [`lease`] are what a delivery is made of.

mod atoms;
mod body;
mod courier;
mod delivery;
mod diagnosis;
mod gossip;
mod later;
mod lease;
mod member;
mod options;
mod queue;
mod reader;
mod subscription;
mod terms;

rustler::init!("primer_nif", load = load);

fn load(env: rustler::Env, _: rustler::Term) -> bool {
    lease::register(env)
}
