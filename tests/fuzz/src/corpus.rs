//! Golden frames of released versions: real bytes to start from, beside those that are made.

use std::path::Path;
use std::sync::OnceLock;

use bytes::Bytes;

/// Files larger than any frame are of another kind.
const FILE_BYTES_MAX: u64 = 2 << 20;

/// Every file under `tests/data/wire`, in the order of their paths; none when there is no such
/// folder.
pub(crate) fn golden() -> &'static [Bytes] {
    static GOLDEN: OnceLock<Vec<Bytes>> = OnceLock::new();
    GOLDEN.get_or_init(|| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../data/wire");
        let mut files = Vec::new();
        gather(&root, &mut files);
        files.sort();
        files.into_iter().map(|(_, bytes)| bytes).collect()
    })
}

fn gather(folder: &Path, files: &mut Vec<(std::path::PathBuf, Bytes)>) {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            gather(&path, files);
        } else if entry
            .metadata()
            .is_ok_and(|data| data.len() <= FILE_BYTES_MAX)
            && let Ok(bytes) = std::fs::read(&path)
        {
            files.push((path, bytes.into()));
        }
    }
}
