//! The known word that a wrong one was most likely meant to be.

use alloc::vec::Vec;

/// The nearest of the `known` words; a beginning is nearer than any word that only looks alike.
#[must_use]
pub fn nearest(word: &str, known: &[&'static str]) -> &'static str {
    let nearest = known
        .iter()
        .min_by_key(|known| (!known.starts_with(word), distance(word, known)));
    nearest.copied().unwrap_or_default()
}

/// Letters to insert, remove or change to make one word of the other (Levenshtein).
fn distance(from: &str, to: &str) -> usize {
    let from: Vec<char> = from.chars().take(64).collect();
    let to: Vec<char> = to.chars().collect();
    // Row by row: how far the letters so far are from each beginning of `to`.
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (done, letter) in from.iter().enumerate() {
        let mut next = Vec::from([done + 1]);
        let mut left = done + 1;
        for ((above_left, above), other) in row.iter().zip(row.iter().skip(1)).zip(&to) {
            left = (left + 1)
                .min(above + 1)
                .min(above_left + usize::from(letter != other));
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_counts_changed_letters() {
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("abc", "abc"), 0);
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("lease", "lease_ms"), 3);
    }

    #[test]
    fn a_beginning_is_nearer_than_a_look_alike() {
        assert_eq!(
            nearest("lease", &["please", "lease_ms_max"]),
            "lease_ms_max"
        );
        assert_eq!(nearest("pauses", &["paused", "copies"]), "paused");
    }
}
