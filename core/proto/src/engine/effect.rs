//! What the engine wants done. The driver carries it out in order and tells nobody but the engine.

use alloc::string::String;
use alloc::vec::Vec;

use super::command::{Answer, Broadcast, Change, Event};
use super::frame::Message;
use super::hosts::HostCall;
use crate::base::{Error, LinkId, SessionId, Ticket};
use crate::queue::Leased;

/// One thing to do in the world.
#[derive(Debug)]
pub enum Effect {
    /// Answer a command. Exactly one for each ticket.
    Reply(Ticket, Answer),
    /// Hand messages to a session, never more than its credit.
    Deliver(SessionId, Vec<Leased>),
    /// Send to a peer; lost when the link is gone by then, which [`super::Input::Unlinked`] tells.
    Send(LinkId, Lane, Message),
    /// Connect, shake hands, bring up both lanes.
    Dial(String),
    /// Close a link after what was queued on it; the error is told to the peer.
    Hangup(LinkId, Error),
    /// Tell the host.
    Event(Event),
    /// Tell those who watch the metadata.
    Change(Change),
    /// Tell those who listen to the topic.
    Topic(Broadcast),
    /// Call the host's handlers; dropped where there is none.
    Host(HostCall),
}

/// The two connections of a link: a body on its way must not delay a heartbeat or an ack
/// (protocol.md 1.3). Order holds within a lane only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lane {
    /// Heartbeats, acks, demands, membership.
    Control,
    /// Bodies.
    Bulk,
}
