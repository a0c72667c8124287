//! Five members under load with partitions, pauses, slow links and kills at once: every acknowledged
//! message is delivered. The judge is the one of the simulator and of the kill test.

use primer_cluster::Outcome;

use crate::crew::{Crew, disagreements};
use crate::retire::loaded;
use crate::schedule::{Fault, Step, rounds};
use crate::{Size, Verdict, judged, network};

const MEMBERS: u64 = 5;
/// Receipts before the faults of a round, and after them.
const ACKED: u64 = 500;

/// Runs it. Errors: the harness's, and whatever does not come within a long while.
pub fn run(size: &Size) -> Outcome<Verdict> {
    let is_slowing = match network::try_slow() {
        Ok(()) => true,
        Err(why) => {
            println!("  slow links are skipped, this machine has none: {why}");
            false
        }
    };
    let mut crew = Crew::start(MEMBERS, |setup| {
        let name = format!("member-{}", setup.index);
        loaded(setup)
            .with("name", name)
            .with("copies", size.kills + 1)
    })?;
    let (mut odd, mut drained) = (0, Ok(()));
    for (number, round) in rounds(size, MEMBERS).iter().enumerate() {
        println!("  round {}: {}", number + 1, shown(round));
        crew.cluster().tell_all("go")?;
        more(&mut crew)?;
        for step in round {
            take(&mut crew, *step, is_slowing)?;
        }
        let (agreed, views) = crew.until_agreed()?;
        odd += disagreements(&views);
        more(&mut crew)?;
        drained = crew.cluster().drain();
        if drained.is_err() {
            break;
        }
        println!(
            "    all agree {:.1} s after it, drained (load {})",
            agreed.on_reach.as_secs_f64(),
            crate::machine::load(),
        );
    }
    judged(crew, odd, drained)
}

fn more(crew: &mut Crew) -> Outcome<()> {
    let acked = crew.cluster().acked_by(None);
    crew.cluster().until_acked(None, acked + ACKED)
}

fn take(crew: &mut Crew, step: Step, is_slowing: bool) -> Outcome<()> {
    match step {
        Step::Hold(time) => crew.cluster().pass(time),
        Step::Begin(Fault::Cut(shape)) => crew.cut(shape),
        Step::End(Fault::Cut(_)) => crew.heal(),
        Step::Begin(Fault::Pause(member)) => crew.pause(member, true),
        Step::End(Fault::Pause(member)) => crew.pause(member, false),
        Step::Begin(Fault::Kill(member)) => crew.cluster().kill(member),
        Step::End(Fault::Kill(member)) => {
            crew.restart(member)?;
            crew.cluster().tell(member, "go")
        }
        Step::Begin(Fault::Slow(_)) | Step::End(Fault::Slow(_)) if !is_slowing => Ok(()),
        Step::Begin(Fault::Slow(member)) => crew.slow(member, true),
        Step::End(Fault::Slow(member)) => crew.slow(member, false),
    }
}

fn shown(round: &[Step]) -> String {
    let word = |step: &Step| match step {
        Step::Begin(fault) => format!("+{fault:?}"),
        Step::End(fault) => format!("-{fault:?}"),
        Step::Hold(time) => format!("{}ms", time.as_millis()),
    };
    round.iter().map(word).collect::<Vec<_>>().join(" ")
}
