//! The core's plain values as Python's, whose classes are in `primer/_values.py`.
//!
//! They are made without a line of Python being run: at the end of the interpreter a thread that gives
//! its lock up in the middle of Python code never comes back, and must not have native code above it.

use pyo3::IntoPyObjectExt;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyTuple, PyType};

/// A frozen dataclass with slots, looked up once.
struct Class<const FIELDS: usize> {
    name: &'static str,
    fields: [&'static str; FIELDS],
    known: PyOnceLock<Known>,
}

struct Known {
    class: Py<PyType>,
    /// `object.__new__`.
    new: Py<PyAny>,
    /// `__set__` of each slot, which is how `__init__` of a frozen class does it, too.
    setters: Vec<Py<PyAny>>,
}

impl<const FIELDS: usize> Class<FIELDS> {
    const fn new(name: &'static str, fields: [&'static str; FIELDS]) -> Self {
        Self {
            name,
            fields,
            known: PyOnceLock::new(),
        }
    }

    fn known(&self, py: Python<'_>) -> PyResult<&Known> {
        self.known.get_or_try_init(py, || {
            let class = py.import("primer._values")?.getattr(self.name)?;
            let setter = |field| Ok(class.getattr(field)?.getattr("__set__")?.unbind());
            Ok(Known {
                new: class.getattr("__new__")?.unbind(),
                setters: self
                    .fields
                    .into_iter()
                    .map(setter)
                    .collect::<PyResult<_>>()?,
                class: class.cast_into()?.unbind(),
            })
        })
    }

    /// One of them.
    fn make<'py>(
        &self,
        py: Python<'py>,
        values: [Bound<'py, PyAny>; FIELDS],
    ) -> PyResult<Bound<'py, PyAny>> {
        let known = self.known(py)?;
        let object = known.new.bind(py).call1((&known.class,))?;
        for (setter, value) in known.setters.iter().zip(values) {
            setter.bind(py).call1((&object, value))?;
        }
        Ok(object)
    }
}

fn any<'py, T: IntoPyObjectExt<'py>>(py: Python<'py>, value: T) -> PyResult<Bound<'py, PyAny>> {
    value.into_bound_py_any(py)
}

fn bytes<'py>(py: Python<'py>, bytes: &[u8]) -> Bound<'py, PyAny> {
    PyBytes::new(py, bytes).into_any()
}

/// A `primer.Member`.
pub fn member(py: Python<'_>, member: primer::Member) -> PyResult<Bound<'_, PyAny>> {
    static CLASS: Class<8> = Class::new(
        "Member",
        [
            "id",
            "name",
            "address",
            "boot",
            "is_self",
            "is_reachable",
            "memory_level",
            "zone",
        ],
    );
    let values = [
        any(py, member.id.to_string())?,
        any(py, member.name)?,
        any(py, member.address)?,
        any(py, member.boot.to_string())?,
        any(py, member.is_self)?,
        any(py, member.is_reachable)?,
        any(py, member.memory_level)?,
        any(py, member.zone)?,
    ];
    CLASS.make(py, values)
}

/// A `primer.Event`.
pub fn event(py: Python<'_>, event: primer::Event) -> PyResult<Bound<'_, PyAny>> {
    static CLASS: Class<5> = Class::new("Event", ["at_ms", "kind", "member", "name", "detail"]);
    let values = [
        any(py, event.at_ms)?,
        any(py, event.kind.name())?,
        any(py, event.member.to_string())?,
        any(py, event.name)?,
        any(py, event.detail)?,
    ];
    CLASS.make(py, values)
}

/// A `primer.Broadcast`.
pub fn broadcast(py: Python<'_>, broadcast: primer::Broadcast) -> PyResult<Bound<'_, PyAny>> {
    static CLASS: Class<3> = Class::new("Broadcast", ["topic", "from_", "body"]);
    let values = [
        any(py, broadcast.topic)?,
        any(py, broadcast.from.to_string())?,
        bytes(py, &broadcast.body),
    ];
    CLASS.make(py, values)
}

/// A `primer.Reply`.
pub fn reply(py: Python<'_>, reply: primer::Reply) -> PyResult<Bound<'_, PyAny>> {
    static CLASS: Class<2> = Class::new("Reply", ["body", "header_list"]);
    let headers = PyTuple::new(py, reply.headers)?.into_any();
    CLASS.make(py, [bytes(py, &reply.body), headers])
}

/// A `primer.Page`.
pub fn page(py: Python<'_>, page: primer::Page) -> PyResult<Bound<'_, PyAny>> {
    static CLASS: Class<3> = Class::new("Page", ["messages", "cursor", "missing"]);
    let messages = page.messages.into_iter().map(|one| browsed(py, one));
    let messages = messages.collect::<PyResult<Vec<_>>>()?;
    let values = [
        PyTuple::new(py, messages)?.into_any(),
        any(py, page.cursor)?,
        PyTuple::new(py, texts(&page.missing))?.into_any(),
    ];
    CLASS.make(py, values)
}

/// A `primer.Browsed`.
fn browsed(py: Python<'_>, browsed: primer::Browsed) -> PyResult<Bound<'_, PyAny>> {
    static CLASS: Class<15> = Class::new(
        "Browsed",
        [
            "id",
            "group",
            "state",
            "body",
            "body_bytes",
            "header_list",
            "attempts",
            "priority",
            "key",
            "accepted_ms",
            "ready_at_ms",
            "expires_ms",
            "lease_ms",
            "copies",
            "owner",
        ],
    );
    let values = [
        any(py, browsed.id.to_string())?,
        any(py, browsed.group)?,
        any(py, browsed.state.name())?,
        bytes(py, &browsed.body),
        any(py, browsed.body_bytes)?,
        PyTuple::new(py, browsed.headers)?.into_any(),
        any(py, browsed.attempts)?,
        any(py, browsed.priority)?,
        any(py, browsed.key)?,
        any(py, browsed.accepted_ms)?,
        any(py, browsed.ready_at_ms)?,
        any(py, browsed.expires_ms)?,
        any(py, browsed.lease_ms)?,
        any(py, browsed.copies)?,
        any(py, browsed.owner.to_string())?,
    ];
    CLASS.make(py, values)
}

/// A `primer.Explanation`.
pub fn explanation(py: Python<'_>, explanation: primer::Explanation) -> PyResult<Bound<'_, PyAny>> {
    static CLASS: Class<2> = Class::new("Explanation", ["accounts", "missing"]);
    let accounts = explanation.accounts.into_iter().map(|one| account(py, one));
    let accounts = accounts.collect::<PyResult<Vec<_>>>()?;
    let values = [
        PyTuple::new(py, accounts)?.into_any(),
        PyTuple::new(py, texts(&explanation.missing))?.into_any(),
    ];
    CLASS.make(py, values)
}

/// A `primer.Account`.
fn account(py: Python<'_>, account: primer::Account) -> PyResult<Bound<'_, PyAny>> {
    static CLASS: Class<14> = Class::new(
        "Account",
        [
            "member",
            "known",
            "id",
            "queue",
            "group",
            "attempts",
            "owner",
            "holders",
            "confirmed",
            "lessee",
            "lease_ms",
            "accepted_ms",
            "ready_at_ms",
            "expires_ms",
        ],
    );
    let member = |id: Option<primer::MemberId>| any(py, id.map(|id| id.to_string()));
    let values = [
        any(py, account.member.to_string())?,
        any(py, account.known.name())?,
        any(py, account.id.to_string())?,
        any(py, account.queue)?,
        any(py, account.group)?,
        any(py, account.attempts)?,
        member(account.owner)?,
        PyTuple::new(py, texts(&account.holders))?.into_any(),
        any(py, account.confirmed)?,
        member(account.lessee)?,
        any(py, account.lease_ms)?,
        any(py, account.accepted_ms)?,
        any(py, account.ready_at_ms)?,
        any(py, account.expires_ms)?,
    ];
    CLASS.make(py, values)
}

/// A `primer.Redriven`.
pub fn redriven(py: Python<'_>, redriven: primer::Redriven) -> PyResult<Bound<'_, PyAny>> {
    static CLASS: Class<6> = Class::new(
        "Redriven",
        [
            "matched", "moved", "refused", "skipped", "leased", "missing",
        ],
    );
    let values = [
        any(py, redriven.matched)?,
        any(py, redriven.moved)?,
        any(py, redriven.refused)?,
        any(py, redriven.skipped)?,
        any(py, redriven.leased)?,
        PyTuple::new(py, texts(&redriven.missing))?.into_any(),
    ];
    CLASS.make(py, values)
}

/// A `primer.Diagnosis`.
pub fn diagnosis(py: Python<'_>, diagnosis: primer::Diagnosis) -> PyResult<Bound<'_, PyAny>> {
    static CLASS: Class<3> = Class::new("Diagnosis", ["findings", "facts", "missing"]);
    let findings = diagnosis.findings.into_iter().map(|one| finding(py, one));
    let findings = findings.collect::<PyResult<Vec<_>>>()?;
    let all = diagnosis.facts.into_iter().map(|one| facts(py, one));
    let all = all.collect::<PyResult<Vec<_>>>()?;
    let values = [
        PyTuple::new(py, findings)?.into_any(),
        PyTuple::new(py, all)?.into_any(),
        PyTuple::new(py, texts(&diagnosis.missing))?.into_any(),
    ];
    CLASS.make(py, values)
}

/// A `primer.Finding`.
fn finding(py: Python<'_>, finding: primer::Finding) -> PyResult<Bound<'_, PyAny>> {
    static CLASS: Class<4> = Class::new("Finding", ["code", "group", "messages", "members"]);
    let values = [
        any(py, finding.code)?,
        any(py, finding.group)?,
        any(py, finding.messages)?,
        PyTuple::new(py, texts(&finding.members))?.into_any(),
    ];
    CLASS.make(py, values)
}

/// A `primer.Facts`.
fn facts(py: Python<'_>, facts: primer::Facts) -> PyResult<Bound<'_, PyAny>> {
    static CLASS: Class<21> = Class::new(
        "Facts",
        [
            "member",
            "group",
            "ready",
            "leased",
            "delayed",
            "standby",
            "stranded",
            "oldest_ms",
            "next_ready_ms",
            "next_lease_ms",
            "lessees",
            "owners",
            "receives",
            "subscriptions",
            "credit",
            "paused",
            "paused_by",
            "messages_max",
            "bytes_max",
            "is_full",
            "memory_percent",
        ],
    );
    let values = [
        any(py, facts.member.to_string())?,
        any(py, facts.group)?,
        any(py, facts.ready)?,
        any(py, facts.leased)?,
        any(py, facts.delayed)?,
        any(py, facts.standby)?,
        any(py, facts.stranded)?,
        any(py, facts.oldest_ms)?,
        any(py, facts.next_ready_ms)?,
        any(py, facts.next_lease_ms)?,
        PyTuple::new(py, texts(&facts.lessees))?.into_any(),
        PyTuple::new(py, texts(&facts.owners))?.into_any(),
        any(py, facts.receives)?,
        any(py, facts.subscriptions)?,
        any(py, facts.credit)?,
        any(py, facts.paused)?,
        any(py, facts.paused_by)?,
        any(py, facts.messages_max)?,
        any(py, facts.bytes_max)?,
        any(py, facts.is_full)?,
        any(py, facts.memory_percent)?,
    ];
    CLASS.make(py, values)
}

fn texts(members: &[primer::MemberId]) -> Vec<String> {
    members.iter().map(ToString::to_string).collect()
}

/// A `primer.Entry`.
pub fn entry(py: Python<'_>, entry: primer::Entry) -> PyResult<Bound<'_, PyAny>> {
    static CLASS: Class<4> = Class::new("Entry", ["key", "value", "at_ms", "others"]);
    let others: Vec<_> = entry.others.iter().map(|other| bytes(py, other)).collect();
    let values = [
        any(py, entry.key)?,
        bytes(py, &entry.value),
        any(py, entry.at_ms)?,
        PyTuple::new(py, others)?.into_any(),
    ];
    CLASS.make(py, values)
}

/// A `primer.Change`.
pub fn change(py: Python<'_>, change: primer::Change) -> PyResult<Bound<'_, PyAny>> {
    static CLASS: Class<2> = Class::new("Change", ["key", "value"]);
    let value = change.value.map(|value| bytes(py, &value));
    CLASS.make(py, [any(py, change.key)?, any(py, value)?])
}
