//! The shapes of a partition: who does not hear whom.
//!
//! Members are numbers from 0. A cut is a set of pairs (deaf, unheard), so that one way alone can be cut.

use std::collections::BTreeSet;

/// Pairs of members: the first hears nothing of the second.
pub type Cut = BTreeSet<(u64, u64)>;

/// How a cluster falls apart.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Shape {
    /// Two halves that hear nothing of each other.
    Halves,
    /// Two halves, and one member that hears both and is heard by both.
    Bridge,
    /// The others do not hear that member; it hears them.
    OneWay(u64),
    /// That member and the others do not hear each other.
    Isolate(u64),
}

impl Shape {
    /// What it cuts among so many members.
    #[must_use]
    pub fn cut(self, members: u64) -> Cut {
        let half = members / 2;
        let is_cut = |deaf: u64, unheard: u64| match self {
            Shape::Halves => (deaf < half) != (unheard < half),
            Shape::Bridge => deaf != half && unheard != half && (deaf < half) != (unheard < half),
            Shape::OneWay(one) => unheard == one,
            Shape::Isolate(one) => unheard == one || deaf == one,
        };
        let pairs = (0..members).flat_map(|deaf| (0..members).map(move |unheard| (deaf, unheard)));
        pairs
            .filter(|(deaf, unheard)| deaf != unheard && is_cut(*deaf, *unheard))
            .collect()
    }
}

/// Whom `deaf` does not hear.
pub fn unheard_by(cut: &Cut, deaf: u64) -> impl Iterator<Item = u64> + '_ {
    cut.range((deaf, 0)..=(deaf, u64::MAX))
        .map(|(_, unheard)| *unheard)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &[(u64, u64)]) -> Cut {
        pairs.iter().copied().collect()
    }

    #[test]
    fn a_shape_cuts_what_it_says() {
        assert_eq!(Shape::Halves.cut(3), of(&[(0, 1), (0, 2), (1, 0), (2, 0)]));
        assert_eq!(Shape::Bridge.cut(3), of(&[(0, 2), (2, 0)]));
        assert_eq!(Shape::OneWay(1).cut(3), of(&[(0, 1), (2, 1)]));
        assert_eq!(
            Shape::Isolate(1).cut(3),
            of(&[(0, 1), (1, 0), (1, 2), (2, 1)])
        );
        assert_eq!(Shape::Halves.cut(32).len(), 2 * 16 * 16);
    }

    #[test]
    fn a_deaf_member_is_asked_for_by_itself() {
        let cut = Shape::Halves.cut(4);
        assert_eq!(unheard_by(&cut, 3).collect::<Vec<_>>(), [0, 1]);
        assert_eq!(unheard_by(&Shape::OneWay(2).cut(4), 2).count(), 0);
    }
}
