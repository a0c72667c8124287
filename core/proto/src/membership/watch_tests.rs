//! One member's opinions, second by second.

use super::*;

const B: MemberId = MemberId(2);
const C: MemberId = MemberId(3);
const D: MemberId = MemberId(4);

fn watch() -> Watch {
    let mut watch = Watch::default();
    for member in [B, C] {
        watch.know(Instant(0), member);
        watch.linked(Instant(0), member);
    }
    watch
}

#[test]
fn a_silent_member_is_suspect_after_two_seconds_and_unreachable_after_three() {
    let mut watch = watch();
    watch.sign(Instant(1_000), C, Instant(1_000));
    assert_eq!(watch.next(), Instant(2_000));
    assert_eq!(watch.wake(Instant(1_999)), []);
    assert_eq!(
        watch.wake(Instant(2_000)),
        [Verdict::Suspect(B), Verdict::Probe(B)]
    );
    assert!(watch.is_reachable(B));
    watch.sign(Instant(2_000), C, Instant(2_000));
    assert_eq!(watch.wake(Instant(3_000)), [Verdict::Unreachable(B)]);
    assert!(!watch.is_reachable(B));
    let back = watch.sign(Instant(3_500), B, Instant(3_500));
    assert_eq!(back, Some(Verdict::Reachable(B, Standing::Unreachable)));
}

#[test]
fn the_word_of_another_counts_as_a_sign_as_old_as_theirs() {
    let mut watch = watch();
    watch.wake(Instant(2_000));
    watch.vouched(Instant(2_100), D, B, 600);
    watch.vouched(Instant(2_100), D, C, 2_000);
    let verdicts = watch.wake(Instant(3_100));
    assert!(verdicts.contains(&Verdict::Unreachable(C)));
    assert!(!verdicts.contains(&Verdict::Unreachable(B)));
    let verdicts = watch.wake(Instant(4_500));
    assert!(verdicts.contains(&Verdict::Unreachable(B)));
}

#[test]
fn one_whose_host_says_that_nobody_is_there_is_gone_at_once_and_that_is_no_split() {
    let mut watch = watch();
    assert_eq!(watch.refused(Instant(10), B), None, "it is linked");
    watch.unlinked(Instant(10), B);
    assert_eq!(watch.refused(Instant(12), B), Some(Verdict::Unreachable(B)));
    watch.sign(Instant(1_000), C, Instant(1_000));
    assert_eq!(watch.wake(Instant(1_500)), []);
    assert_eq!(watch.unreachable(), 1);
}

#[test]
fn a_split_is_told_once_and_whole_and_so_is_its_end() {
    let mut watch = watch();
    watch.know(Instant(0), MemberId(4));
    watch.linked(Instant(0), MemberId(4));
    let mut told = Vec::new();
    for second in 0..8 {
        let now = Instant(second * 1_000);
        watch.sign(now, MemberId(4), now);
        told.extend(watch.wake(now));
    }
    let splits: Vec<_> = told
        .iter()
        .filter(|verdict| matches!(verdict, Verdict::Split(_)))
        .collect();
    assert_eq!(splits, [&Verdict::Split(Vec::from([MemberId(4)]))]);
    for member in [B, C, MemberId(4)] {
        watch.linked(Instant(9_000), member);
    }
    assert_eq!(watch.wake(Instant(10_000)), [Verdict::Healed]);
}

#[test]
fn time_in_which_this_process_stood_still_is_nobodys_silence() {
    let mut watch = watch();
    assert!(watch.late(Instant(60_000), 59_000));
    assert_eq!(watch.wake(Instant(60_000)), []);
    assert_eq!(watch.stretch(), 2);
    assert_eq!(watch.wake(Instant(62_900)), []);
    assert!(!watch.late(Instant(62_900), 20));
}

#[test]
fn who_hears_a_member_in_doubt_is_asked_alone_until_it_does_not() {
    let mut watch = watch();
    watch.wake(Instant(2_000));
    assert_eq!(watch.ask(B), Ask::Any(3));
    watch.vouched(Instant(2_100), D, B, 100);
    assert_eq!(watch.ask(B), Ask::Voucher(D));
    assert_eq!(watch.ask(B), Ask::Any(3), "it has not answered since");
}

#[test]
fn questions_about_many_in_doubt_are_bounded() {
    let mut watch = Watch::default();
    for member in 1..=500 {
        watch.know(Instant(0), MemberId(member));
        watch.linked(Instant(0), MemberId(member));
    }
    let verdicts = watch.wake(Instant(2_000));
    let in_doubt = verdicts.iter().filter_map(|verdict| match verdict {
        Verdict::Probe(member) => Some(*member),
        _ => None,
    });
    let asked: usize = in_doubt
        .map(|member| match watch.ask(member) {
            Ask::Any(count) => count,
            Ask::Voucher(_) => 1,
        })
        .sum();
    assert_eq!(asked, 500, "one each");
}
