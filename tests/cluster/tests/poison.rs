//! A message that ends whoever handles it.

#[test]
fn a_message_that_ends_its_owners_is_a_dead_letter_before_it_has_ended_all() {
    let program = env!("CARGO_BIN_EXE_primer-cluster");
    let run = primer_cluster::poison::run(program).unwrap();
    // The very first delivery is announced to nobody; each that follows is counted where it does no harm.
    assert!((4..=6).contains(&run.deaths), "{run:?}");
    assert_eq!(run.attempts, "3");
}
