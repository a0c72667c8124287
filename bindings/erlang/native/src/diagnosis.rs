//! What became of a redrive, and why a queue delivers nothing, as Erlang terms.

use std::sync::{Arc, LazyLock};

use primer::{Diagnosis, Facts, Finding, Redriven};
use rustler::{Encoder, Env, Term};

use crate::atoms;
use crate::courier::Face;
use crate::terms::{Keys, ToTerm, fixed, list, members, record, some, text};

impl ToTerm for Redriven {
    /// `#{leased, matched, missing, moved, refused, skipped}`.
    fn to_term<'a>(self, env: Env<'a>, _: &Arc<Face>) -> Option<Term<'a>> {
        static KEYS: Keys<6> = LazyLock::new(|| {
            [
                atoms::leased(),
                atoms::matched(),
                atoms::missing(),
                atoms::moved(),
                atoms::refused(),
                atoms::skipped(),
            ]
        });
        let values = [
            self.leased.encode(env),
            self.matched.encode(env),
            members(env, &self.missing),
            self.moved.encode(env),
            self.refused.encode(env),
            self.skipped.encode(env),
        ];
        Some(record(env, &KEYS, &values))
    }
}

impl ToTerm for Diagnosis {
    /// `#{facts, findings, missing}`.
    fn to_term<'a>(self, env: Env<'a>, _: &Arc<Face>) -> Option<Term<'a>> {
        static KEYS: Keys<3> =
            LazyLock::new(|| [atoms::facts(), atoms::findings(), atoms::missing()]);
        let values = [
            list(env, self.facts.iter().map(|one| facts(env, one))),
            list(env, self.findings.iter().map(|one| finding(env, one))),
            members(env, &self.missing),
        ];
        Some(record(env, &KEYS, &values))
    }
}

fn finding<'a>(env: Env<'a>, finding: &Finding) -> Term<'a> {
    static KEYS: Keys<4> = LazyLock::new(|| {
        [
            atoms::code(),
            atoms::group(),
            atoms::members(),
            atoms::messages(),
        ]
    });
    let group = finding.group.as_deref().map(|group| text(env, group));
    let values = [
        fixed(env, finding.code).encode(env),
        some(env, group),
        members(env, &finding.members),
        finding.messages.encode(env),
    ];
    record(env, &KEYS, &values)
}

fn facts<'a>(env: Env<'a>, facts: &Facts) -> Term<'a> {
    static KEYS: Keys<21> = LazyLock::new(|| {
        [
            atoms::bytes_max(),
            atoms::credit(),
            atoms::delayed(),
            atoms::group(),
            atoms::is_full(),
            atoms::leased(),
            atoms::lessees(),
            atoms::member(),
            atoms::memory_percent(),
            atoms::messages_max(),
            atoms::next_lease_ms(),
            atoms::next_ready_ms(),
            atoms::oldest_ms(),
            atoms::owners(),
            atoms::paused(),
            atoms::paused_by(),
            atoms::ready(),
            atoms::receives(),
            atoms::standby(),
            atoms::stranded(),
            atoms::subscriptions(),
        ]
    });
    let number = |number: Option<u64>| some(env, number.map(|number| number.encode(env)));
    let name = |name: &Option<String>| some(env, name.as_deref().map(|name| text(env, name)));
    let paused = facts.paused.map(|paused| fixed(env, paused).encode(env));
    let values = [
        number(facts.bytes_max),
        facts.credit.encode(env),
        facts.delayed.encode(env),
        name(&facts.group),
        facts.is_full.encode(env),
        facts.leased.encode(env),
        members(env, &facts.lessees),
        text(env, &facts.member.to_string()),
        facts.memory_percent.encode(env),
        number(facts.messages_max),
        number(facts.next_lease_ms),
        number(facts.next_ready_ms),
        number(facts.oldest_ms),
        members(env, &facts.owners),
        some(env, paused),
        name(&facts.paused_by),
        facts.ready.encode(env),
        facts.receives.encode(env),
        facts.standby.encode(env),
        facts.stranded.encode(env),
        facts.subscriptions.encode(env),
    ];
    record(env, &KEYS, &values)
}
