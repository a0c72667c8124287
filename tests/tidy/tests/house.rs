//! The repository as it is keeps to its own walls.

use primer_tidy::{CHECKS, Finding, Tree};

fn assert_clean(name: &str) {
    let tree = Tree::of_this_repository().expect("the repository can be read");
    assert!(tree.paths().count() > 50, "the repository was not found");
    let (_, check) = CHECKS
        .iter()
        .find(|(known, _)| *known == name)
        .expect("the check exists");
    let found: Vec<String> = check(&tree).iter().map(Finding::to_string).collect();
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}

macro_rules! checks {
    ($($test:ident = $name:literal;)*) => {
        $(#[test]
        fn $test() {
            assert_clean($name);
        })*

        const NAMES: &[&str] = &[$($name),*];
    };
}

checks! {
    crates_use_only_what_they_may = "crate edges";
    rooms_use_only_rooms_below = "room order";
    the_core_is_pure_and_safe = "purity";
    unsafe_blocks_say_why = "unsafe blocks";
    files_open_with_their_idea = "file heads";
    files_stay_small = "file sizes";
    nothing_is_unfinished = "unfinished marks";
    no_machine_is_named = "machine paths and hosts";
    the_table_agrees_with_itself = "surface table";
    every_face_has_every_verb_and_number = "surface of every face";
    every_scenario_can_be_read = "scenarios";
    documents_name_what_exists = "documents";
    every_file_has_a_use = "stray files";
}

#[test]
fn every_check_has_its_test() {
    let known: Vec<&str> = CHECKS.iter().map(|(name, _)| *name).collect();
    assert_eq!(known, NAMES);
}
