//! Prints the scenarios as the parser reads them, for those who write a runner of their own.
//!
//! `cargo run -p primer-conformance -- --list` names the files; without it every step is a line of
//! tab-separated words, with the bytes of texts in hexadecimal, which another parser can be held to.

use std::process::ExitCode;

use primer_conformance::{files, folder, scenario};

fn main() -> ExitCode {
    let only_names = std::env::args().any(|word| word == "--list");
    match print(only_names) {
        Ok(()) => ExitCode::SUCCESS,
        Err(told) => {
            eprintln!("{told}");
            ExitCode::FAILURE
        }
    }
}

fn print(only_names: bool) -> Result<(), String> {
    for path in files(&folder().join("scenarios"))? {
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let text = std::fs::read_to_string(&path).map_err(|e| format!("{name}: {e}"))?;
        let steps = scenario::parse(&name, &text)?;
        println!("{name}\t{} steps", steps.len());
        for step in steps.iter().filter(|_| !only_names) {
            let mut line = format!("{}\t{}", step.line, step.verb);
            for word in step.args.iter().chain(&step.options) {
                line += &shown(word);
            }
            for group in &step.expect {
                line += "\t->";
                group.iter().for_each(|word| line += &shown(word));
            }
            println!("{line}");
        }
    }
    Ok(())
}

fn shown(word: &scenario::Word) -> String {
    let key = word
        .key
        .as_ref()
        .map_or(String::new(), |key| format!("{key}="));
    if !word.is_text {
        return format!("\t{key}{}", word.text());
    }
    let hex: String = word
        .value
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("\t{key}\"{hex}\"")
}
