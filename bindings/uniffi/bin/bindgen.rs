//! Writes the foreign sources (Ruby, Kotlin, Swift) out of the built library's own metadata:
//! `bindgen LIBRARY FOLDER` fills `FOLDER/{ruby,kotlin,swift}`.
//!
//! A program of its own behind the feature `bindgen`, because the generator is several times as big
//! as the binding; `test.sh` builds it in the dev profile and keeps what it wrote.

use std::error::Error;

use camino::Utf8PathBuf;
use uniffi_bindgen::bindings::{GenerateOptions, TargetLanguage, generate_with_bindgen_paths};
use uniffi_bindgen::{BindgenPaths, BindgenPathsLayer};

/// Where the crate with that metadata lies: here. Instead of asking cargo, which costs crates.
struct Here;

impl BindgenPathsLayer for Here {
    fn get_crate_root(&self, crate_name: &str) -> Option<Utf8PathBuf> {
        (crate_name == "primer_uniffi").then(|| env!("CARGO_MANIFEST_DIR").into())
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(library), Some(folder)) = (arguments.next(), arguments.next()) else {
        return Err("usage: bindgen LIBRARY FOLDER".into());
    };
    for (language, name) in [
        (TargetLanguage::Ruby, "ruby"),
        (TargetLanguage::Kotlin, "kotlin"),
        (TargetLanguage::Swift, "swift"),
    ] {
        let mut paths = BindgenPaths::default();
        paths.add_layer(Here);
        let options = GenerateOptions {
            languages: vec![language],
            source: library.clone().into(),
            out_dir: format!("{folder}/{name}").into(),
            ..GenerateOptions::default()
        };
        generate_with_bindgen_paths(options, paths)?;
    }
    Ok(())
}
