//! Half of the cluster is cut off for a while and writes go on; after it all know the same.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use primer_cluster::Outcome;
use primer_cluster::member::View;

use crate::crew::{Crew, disagreements, sum};
use crate::shape::Shape;
use crate::{Size, Verdict};

/// Every member writes this often while it is cut off.
const WRITE_EVERY: Duration = Duration::from_secs(4);

/// Runs it. Errors: the harness's, and whatever does not come within a long while.
pub fn run(size: &Size) -> Outcome<Verdict> {
    let named = |setup: primer_cluster::member::Setup| {
        let name = format!("member-{}", setup.index);
        setup.with("name", name)
    };
    let mut crew = Crew::start(size.split_members, named)?;
    let members = crew.members();
    for member in 0..members {
        put(&mut crew, member, "before", 0)?;
    }
    crew.until_agreed()?;

    let half = members / 2;
    crew.cut(Shape::Halves)?;
    let begun = Instant::now();
    crew.until("split", |views| hears(views, half, members - half))?;
    println!(
        "  cut into halves, which all have noticed after {:.1} s",
        begun.elapsed().as_secs_f64()
    );
    let mut writes = 0;
    while begun.elapsed() < size.split || writes == 0 {
        for member in 0..members {
            put(&mut crew, member, "during", writes)?;
        }
        writes += 1;
        let left = size.split.saturating_sub(begun.elapsed());
        crew.cluster().pass(left.min(WRITE_EVERY))?;
    }
    let views = crew.until("writes on both sides", |views| {
        views
            .values()
            .all(|view| count(view, "during") == writes * half as usize)
    })?;
    // The keys of the sides are disjoint; else the cut was none and all below proves nothing.
    if disagreements(&views) != members - half {
        return Err("the halves know of each other's writes".into());
    }

    let cut_off = begun.elapsed();
    crew.heal()?;
    let (agreed, views) = crew.until_agreed()?;
    println!(
        "  healed after {:.0} s: one member set and the same keys after {:.1} s, all hear all after {:.1} s (load {})",
        cut_off.as_secs_f64(),
        agreed.on_set.as_secs_f64(),
        agreed.on_reach.as_secs_f64(),
        crate::machine::load(),
    );
    let verdict = verdict(&views, writes * members as usize);
    crew.end()?;
    Ok(verdict)
}

/// Whether after the heal everyone has all that was written during the cut, and nobody was taken for gone.
fn verdict(views: &BTreeMap<u64, View>, written: usize) -> Verdict {
    let missing = views
        .values()
        .filter(|view| count(view, "during") != written);
    let odd = disagreements(views) + missing.count() as u64;
    let (evicted, retired) = (sum(views, "members_evicted"), sum(views, "members_retired"));
    println!(
        "  members={} keys={} evicted={evicted} retired={retired}",
        views.len(),
        views.values().next().map_or(0, |view| view.keys.len()),
    );
    let broken = [
        (odd, "members lack writes or know other things"),
        (evicted, "evictions, though nobody evicted"),
        (retired, "retirements of members with names"),
    ];
    let broken = broken.iter().filter(|(count, _)| *count > 0);
    Verdict {
        members: views.len() as u64,
        lost: 0,
        disagreements: odd,
        broken: broken
            .map(|(count, what)| format!("{count} {what}"))
            .collect(),
    }
}

fn put(crew: &mut Crew, member: u64, when: &str, turn: usize) -> Outcome<()> {
    crew.cluster().tell(
        member,
        &format!("put {when}/{member}/{turn} {member}-{turn}"),
    )
}

fn count(view: &View, when: &str) -> usize {
    let keys = view.keys.keys();
    keys.filter(|key| key.split('/').next() == Some(when))
        .count()
}

/// Everyone hears its own half, which are of these sizes, and nobody else.
fn hears(views: &BTreeMap<u64, View>, left: u64, right: u64) -> bool {
    views.iter().all(|(member, view)| {
        let own = if *member < left { left } else { right };
        view.reachable as u64 == own
    })
}
