//! The one table against itself, against the code and against every face; and the scenarios' form.

use std::collections::BTreeSet;

use primer_conformance::{scenario, table};

use crate::faces::{FACES, Fault, Verb};
use crate::{Finding, Tree};

const TABLE: &str = "tests/conformance/surface.toml";

/// The hundreds and what they tell the caller.
const HUNDREDS: &[(u64, &str)] = &[
    (1, "WrongCall"),
    (2, "NotNow"),
    (3, "InDoubt"),
    (4, "TooLate"),
    (5, "MemberDown"),
];

fn rows(tree: &Tree) -> Result<Vec<table::Row>, Finding> {
    let text = tree.text(TABLE).unwrap_or_default();
    table::parse(text).map_err(|told| Finding::new(TABLE, 1, told))
}

/// The table agrees with itself: no row twice, errors that exist, hundreds that fit, faces that exist.
pub fn table(tree: &Tree) -> Vec<Finding> {
    let rows = match rows(tree) {
        Ok(rows) if rows.is_empty() => return vec![Finding::new(TABLE, 1, "the table is missing")],
        Ok(rows) => rows,
        Err(finding) => return vec![finding],
    };
    let mut findings = Vec::new();
    let numbers: BTreeSet<u64> = rows.iter().filter_map(|row| row.number("number")).collect();
    let mut seen = BTreeSet::new();
    for row in &rows {
        let mut told = |what: String| findings.push(Finding::new(TABLE, row.line, what));
        let place = format!("{}{}", row.text("on"), row.text("of"));
        let number = row
            .number("number")
            .map_or(String::new(), |number| number.to_string());
        if !seen.insert((row.kind.clone(), place, row.text("name").to_string()))
            || (!number.is_empty() && !seen.insert(("number".into(), String::new(), number)))
        {
            told(format!("{} is there twice", row.text("name")));
        }
        for number in row
            .numbers("fails")
            .filter(|number| !numbers.contains(number))
        {
            told(format!("there is no error {number}"));
        }
        for word in row.texts("absent") {
            let (face, reason) = word.split_once(": ").unwrap_or((word, ""));
            if !FACES.iter().any(|known| known.name == face) || reason.is_empty() {
                told(format!("`{word}` is not a face and a reason"));
            }
        }
        if let Some(number) = row.number("number") {
            let hundred = HUNDREDS
                .iter()
                .find(|(hundred, _)| *hundred == number / 100);
            if hundred.map(|(_, name)| *name) != Some(row.text("hundred")) {
                told(format!(
                    "{number} is not of the hundred {}",
                    row.text("hundred")
                ));
            }
        }
    }
    findings
}

/// Every face that exists has every verb and every number, and the code has no number of its own.
pub fn faces(tree: &Tree) -> Vec<Finding> {
    // A table that cannot be read is `table`'s finding.
    let rows = rows(tree).unwrap_or_default();
    let mut findings = Vec::new();
    for face in FACES.iter().filter(|face| face.exists(tree)) {
        for row in &rows {
            let mut told = |what: String| findings.push(Finding::new(TABLE, row.line, what));
            let name = row.text("name");
            if row.kind == "verb" {
                let handles = [row.text("on"), row.text("or")];
                let has = handles
                    .iter()
                    .filter(|on| !on.is_empty())
                    .any(|on| face.has_verb(tree, &Verb { on, name }));
                let is_absent = row
                    .texts("absent")
                    .any(|word| word.split(':').next() == Some(face.name));
                if !has && !is_absent {
                    told(format!("{} has no {}.{name}", face.name, row.text("on")));
                } else if has && is_absent {
                    told(format!(
                        "{} has {}.{name}: take it from `absent`",
                        face.name,
                        row.text("on")
                    ));
                }
            }
            if let Some(number) = row.number("number") {
                let hundred = row.text("hundred");
                if !face.has_error(
                    tree,
                    &Fault {
                        kind: name,
                        number,
                        hundred,
                    },
                ) {
                    told(format!("{} has no error {number} {name}", face.name));
                }
            }
        }
    }
    findings.extend(unlisted(tree, &rows));
    findings.extend(options(tree, &rows));
    findings
}

/// Error numbers in the code that the table lacks.
fn unlisted(tree: &Tree, rows: &[table::Row]) -> Vec<Finding> {
    let path = "core/proto/src/base/error.rs";
    let mut findings = Vec::new();
    let code = tree.text(path).unwrap_or_default().lines().enumerate();
    for (index, line) in code.filter(|(_, line)| line.starts_with("    ") && line.ends_with(',')) {
        let Some((kind, number)) = line.trim().trim_end_matches(',').split_once(" = ") else {
            continue;
        };
        let Ok(number) = number.parse::<u64>() else {
            continue;
        };
        if !rows
            .iter()
            .any(|row| row.number("number") == Some(number) && row.text("name") == kind)
        {
            findings.push(Finding::new(
                path,
                index + 1,
                format!("{TABLE} has no error {number} {kind}"),
            ));
        }
    }
    findings
}

/// Every option of the table is a name that the code reads, and every field of a value one that it has.
fn options(tree: &Tree, rows: &[table::Row]) -> Vec<Finding> {
    let code: Vec<&str> = tree
        .rust()
        .filter(|(path, _)| path.starts_with("core/"))
        .map(|(_, text)| text)
        .collect();
    let has = |word: &str| {
        code.iter()
            .any(|text| crate::source::words(text).any(|(_, found)| found == word))
    };
    let mut findings = Vec::new();
    for row in rows.iter().filter(|_| tree.has("core/primer/src/lib.rs")) {
        let mut names: Vec<&str> = row
            .texts("fields")
            .filter_map(|field| field.split(':').next())
            .collect();
        if row.kind == "option" {
            // A value's duration carries its unit in its type, so the name there has no `_ms`.
            let name = row.text("name");
            names.push(if row.text("of") == "Options" {
                name
            } else {
                name.trim_end_matches("_ms")
            });
        }
        for name in names.into_iter().filter(|name| !has(name)) {
            findings.push(Finding::new(
                TABLE,
                row.line,
                format!("the code knows no `{name}`"),
            ));
        }
    }
    findings
}

/// Every scenario can be read.
pub fn scenarios(tree: &Tree) -> Vec<Finding> {
    let scenarios = tree.files().filter(|(path, _)| path.ends_with(".scn"));
    scenarios
        .filter_map(|(path, text)| {
            let told = scenario::parse(path, text).err()?;
            let rest = told.strip_prefix(path)?.strip_prefix(':')?;
            let (line, what) = rest.split_once(": ")?;
            Some(Finding::new(path, line.parse().unwrap_or(1), what))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "[[verb]]\non = \"Queue\"\nname = \"ack\"\ntakes = []\ngives = \"x\"\nfails = [402]\ndoc = \"d\"\nabsent = []\n\
                        [[error]]\nnumber = 402\nname = \"AlreadyDone\"\nhundred = \"TooLate\"\ndoc = \"d\"\n";
    const CODE: &str = "    AlreadyDone = 402,\n";

    fn told(findings: Vec<Finding>) -> Vec<String> {
        findings.into_iter().map(|finding| finding.what).collect()
    }

    #[test]
    fn a_table_that_contradicts_itself_is_found() {
        assert!(table(&Tree::of(&[(TABLE, GOOD)])).is_empty());
        let twice = format!("{GOOD}{GOOD}");
        assert_eq!(
            told(table(&Tree::of(&[(TABLE, &twice)]))),
            ["ack is there twice", "AlreadyDone is there twice"]
        );
        let bad = GOOD
            .replace("[402]", "[403]")
            .replace("TooLate", "NotNow")
            .replace("absent = []", "absent = [\"cobol\"]");
        assert_eq!(
            told(table(&Tree::of(&[(TABLE, &bad)]))),
            [
                "there is no error 403",
                "`cobol` is not a face and a reason",
                "402 is not of the hundred NotNow"
            ]
        );
        assert_eq!(told(table(&Tree::of(&[]))), ["the table is missing"]);
        assert_eq!(
            told(table(&Tree::of(&[(TABLE, "[[verb]]\n")]))),
            ["surface.toml:1: `on` is missing"]
        );
    }

    #[test]
    fn a_face_without_a_verb_or_a_number_is_found() {
        let error = ("core/proto/src/base/error.rs", CODE);
        let with = (
            "core/primer/src/queue.rs",
            "impl Queue {\n    pub fn ack(&self) {}\n}\n",
        );
        let lib = ("core/primer/src/lib.rs", "");
        assert!(faces(&Tree::of(&[(TABLE, GOOD), error, with, lib])).is_empty());
        assert_eq!(
            told(faces(&Tree::of(&[(TABLE, GOOD), error, lib]))),
            ["rust has no Queue.ack"]
        );
        let header = ("include/primer.h", "x primer_queue_ack(y);\n");
        assert_eq!(
            told(faces(&Tree::of(&[(TABLE, GOOD), header]))),
            ["c has no error 402 AlreadyDone"]
        );
        let absent = GOOD.replace("absent = []", "absent = [\"rust: soon\"]");
        assert!(faces(&Tree::of(&[(TABLE, &absent), error, lib])).is_empty());
        let kept = told(faces(&Tree::of(&[(TABLE, &absent), error, with, lib])));
        assert_eq!(kept, ["rust has Queue.ack: take it from `absent`"]);
        let more = format!("{CODE}    Lost = 403,\n");
        let unlisted = faces(&Tree::of(&[
            (TABLE, GOOD),
            ("core/proto/src/base/error.rs", &more),
        ]));
        assert_eq!(told(unlisted), [format!("{TABLE} has no error 403 Lost")]);
    }

    #[test]
    fn an_option_or_field_that_the_code_does_not_know_is_found() {
        let rows = "[[option]]\nof = \"Options\"\nname = \"colour\"\ntype = \"t\"\ndefault = \"\"\ndoc = \"d\"\n\
                    [[value]]\nname = \"V\"\nfields = [\"id: text\", \"shape: text\"]\ndoc = \"d\"\n";
        let tree = Tree::of(&[(TABLE, rows), ("core/primer/src/lib.rs", "id")]);
        assert_eq!(
            told(faces(&tree)),
            ["the code knows no `colour`", "the code knows no `shape`"]
        );
    }

    #[test]
    fn a_scenario_that_cannot_be_read_is_found() {
        let found = scenarios(&Tree::of(&[
            ("a.scn", "open a\nopne b\n"),
            ("b.scn", "open a\n"),
        ]));
        assert_eq!(found, [Finding::new("a.scn", 2, "there is no step `opne`")]);
    }
}
