//! How long to rest between two looks: longer each time, and not at all long when something happened.

use std::time::Duration;

use primer_proto::base::Chance;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// The rhythm of one way of looking.
pub(super) struct Pace {
    least: Duration,
    most: Duration,
    /// Two looks lie this far apart, whatever happens.
    gap: Duration,
    pause: Duration,
    chance: Chance,
}

impl Pace {
    /// For names: a resolver is a shared thing, and its answers live for seconds at least.
    pub(super) fn names(chance: Chance) -> Self {
        Self::new(250, 30_000, 1_000, chance)
    }

    /// For the directory.
    pub(super) fn local(chance: Chance) -> Self {
        Self::new(100, 2_000, 50, chance)
    }

    /// For tests that wait for what happens, not for time.
    #[cfg(test)]
    pub(super) fn quick() -> Self {
        Self::new(1, 2, 0, Chance::new(1))
    }

    fn new(least: u64, most: u64, gap: u64, chance: Chance) -> Self {
        Self {
            least: Duration::from_millis(least),
            most: Duration::from_millis(most),
            gap: Duration::from_millis(gap),
            pause: Duration::from_millis(least),
            chance,
        }
    }

    /// Rests. True when it was cut short because a link was lost; the next rests are short again.
    pub(super) async fn rest(&mut self, stirred: &mut watch::Receiver<()>) -> bool {
        let begun = Instant::now();
        let until = begun + self.next();
        let was_stirred = tokio::select! {
            () = sleep_until(until) => false,
            // Refused when the member is gone: then this task is, too.
            _ = stirred.changed() => true,
        };
        if was_stirred {
            self.pause = self.least;
            sleep_until(begun + self.gap).await;
        }
        was_stirred
    }

    /// The next pause: the one after it is twice as long. Up to a quarter is taken off, so that
    /// members that were started together do not ask together.
    fn next(&mut self) -> Duration {
        let pause = self.pause;
        self.pause = (pause * 2).min(self.most);
        let quarter = u64::try_from(pause.as_micros() / 4).unwrap_or(u64::MAX);
        pause - Duration::from_micros(self.chance.below(quarter))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rests_grow_to_a_bound_and_differ() {
        let mut pace = Pace::new(100, 2_000, 0, Chance::new(7));
        let rests: Vec<u128> = (0..20).map(|_| pace.next().as_millis()).collect();
        assert!((75..=100).contains(&rests[0]) && (150..=200).contains(&rests[1]));
        assert!(
            rests
                .iter()
                .skip(5)
                .all(|rest| (1_500..=2_000).contains(rest))
        );
        assert!(rests.iter().skip(5).any(|rest| rest != &rests[6]));
    }

    #[tokio::test]
    async fn a_lost_link_ends_the_rest_and_makes_the_next_ones_short() {
        let mut pace = Pace::new(60_000, 600_000, 0, Chance::new(7));
        let (stir, mut stirred) = watch::channel(());
        pace.next();
        pace.next();
        stir.send_replace(());
        assert!(
            pace.rest(&mut stirred).await,
            "it was told while nobody rested"
        );
        assert!(pace.next() <= Duration::from_secs(60));
    }
}
