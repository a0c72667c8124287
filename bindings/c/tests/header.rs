//! include/primer.h is what cbindgen makes of the sources, to the byte.
//!
//! `PRIMER_BLESS=1 cargo test -p primer-c` rewrites it after a change.

use std::fs;
use std::path::Path;

/// The order in which the header speaks of things.
const SOURCES: &[&str] = &[
    "code",
    "values",
    "options",
    "boundary",
    "primer",
    "lists",
    "queue",
    "groups",
    "settings",
    "calls",
    "browse",
    "explain",
    "redrive",
    "doctor",
    "delivery",
    "subscription",
    "event",
    "topic",
    "keys",
    "watch",
    "completion",
    "queue_start",
    "handle",
];

fn generated(folder: &Path) -> String {
    let config = cbindgen::Config::from_file(folder.join("cbindgen.toml")).expect("cbindgen.toml");
    let mut builder = cbindgen::Builder::new().with_config(config);
    for source in SOURCES {
        builder = builder.with_src(folder.join(format!("src/{source}.rs")));
    }
    let mut header = Vec::new();
    builder
        .generate()
        .expect("sources that cbindgen reads")
        .write(&mut header);
    String::from_utf8(header).expect("UTF-8")
}

#[test]
fn the_committed_header_is_what_the_sources_say() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let path = folder.join("../../include/primer.h");
    let header = generated(folder);
    if std::env::var_os("PRIMER_BLESS").is_some() {
        fs::write(&path, &header).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == header,
        "include/primer.h is not what bindings/c says; PRIMER_BLESS=1 rewrites it"
    );
}

#[test]
fn every_source_with_exported_functions_is_in_the_header() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    for entry in fs::read_dir(folder.join("src")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let text = fs::read_to_string(&path).unwrap();
        let exports = text.contains("no_mangle") || text.contains("#[repr(C)]");
        assert_eq!(exports, SOURCES.contains(&name.as_str()), "{name}");
    }
}
