//! The table of verbs, the scenarios and their parser.
//!
//! The library reads both and depends on nothing; the Rust runner, which executes every scenario on
//! real members, is the integration test `tests/scenarios`. Other faces bring runners of their own
//! over the same files.

pub mod scenario;
pub mod table;

use std::path::{Path, PathBuf};

/// Where `surface.toml` and `scenarios` lie.
#[must_use]
pub fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The scenario files of a folder, sorted by name. Errors: the folder cannot be read, or is empty.
pub fn files(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let entries = std::fs::read_dir(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let mut files: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|end| end == "scn"))
        .collect();
    files.sort();
    if files.is_empty() {
        return Err(format!("{}: no scenario", folder.display()));
    }
    Ok(files)
}
