//! Golden frames of released versions: real bytes to start from, beside those that are made.

use std::path::Path;
use std::sync::OnceLock;

use bytes::Bytes;

/// Files larger than any frame are of another kind.
const FILE_BYTES_MAX: u64 = 2 << 20;

/// The bytes of every file under `tests/data/wire`, which are in hexadecimal, in the order of their
/// paths.
pub(crate) fn golden() -> &'static [Bytes] {
    static GOLDEN: OnceLock<Vec<Bytes>> = OnceLock::new();
    GOLDEN.get_or_init(|| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../data/wire");
        let mut files = Vec::new();
        gather(&root, &mut files);
        files.sort();
        assert!(!files.is_empty(), "no golden frames in {}", root.display());
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
            && let Ok(text) = std::fs::read_to_string(&path)
        {
            let bytes = unhex(&text);
            files.push((path, bytes));
        }
    }
}

fn unhex(text: &str) -> Bytes {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    let byte = |pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}
