//! Where each face shows its verbs and its error numbers, and how it spells them.
//!
//! Names are computed from the table's, so a face cannot call a verb by a name of its own.

use crate::Tree;
use crate::source::is_word;

/// One language's view of the surface.
pub struct Face {
    /// As `absent` in the table calls it.
    pub name: &'static str,
    /// The file or folder whose existence makes the face one that is held to the table.
    pub door: &'static str,
    /// The start and end of the files that show the verbs.
    verbs_in: (&'static str, &'static str),
    /// The start and end of the files that show the errors.
    errors_in: (&'static str, &'static str),
    has_verb: fn(&str, &Verb) -> bool,
    has_error: fn(&str, &Fault) -> bool,
}

/// A verb as the table has it.
pub struct Verb<'a> {
    /// The handle; also `or`, one a time.
    pub on: &'a str,
    /// Its name.
    pub name: &'a str,
}

/// An error as the table has it. Rust and C name every kind; the other faces pass the core's number and
/// name on and have a class (or an atom) for each hundred.
pub struct Fault<'a> {
    /// Its name.
    pub kind: &'a str,
    /// Its number.
    pub number: u64,
    /// What its hundred is called.
    pub hundred: &'a str,
}

/// Every face.
pub const FACES: &[Face] = &[
    Face {
        name: "rust",
        door: "core/primer/src/lib.rs",
        verbs_in: ("core/primer/src/", ".rs"),
        errors_in: ("core/proto/src/base/error.rs", ""),
        has_verb: rust_verb,
        has_error: |text, error| text.contains(&format!("{} = {}", error.kind, error.number)),
    },
    Face {
        name: "c",
        door: "include/primer.h",
        verbs_in: ("include/primer.h", ""),
        errors_in: ("include/primer.h", ""),
        has_verb: c_verb,
        has_error: c_error,
    },
    Face {
        name: "python",
        door: "bindings/python/pyproject.toml",
        verbs_in: ("bindings/python/python/primer/", ".py"),
        errors_in: ("bindings/python/python/primer/_errors.py", ""),
        has_verb: python_verb,
        has_error: |text, error| holds_word(text, error.hundred),
    },
    Face {
        name: "nodejs",
        door: "bindings/nodejs/package.json",
        verbs_in: ("bindings/nodejs/lib.d.ts", ""),
        errors_in: ("bindings/nodejs/lib.d.ts", ""),
        has_verb: node_verb,
        has_error: |text, error| holds_word(text, error.hundred),
    },
    Face {
        name: "erlang",
        door: "bindings/erlang/rebar.config",
        verbs_in: ("bindings/erlang/src/primer.erl", ""),
        errors_in: ("bindings/erlang/native/src/", ".rs"),
        has_verb: erlang_verb,
        has_error: |text, error| holds_word(text, &snake(error.hundred)),
    },
    Face {
        name: "uniffi",
        door: "bindings/uniffi/uniffi.toml",
        verbs_in: ("bindings/uniffi/src/", ".rs"),
        errors_in: ("bindings/uniffi/src/", ".rs"),
        has_verb: uniffi_verb,
        has_error: |text, error| holds_word(text, error.hundred),
    },
];

impl Face {
    /// Whether the face exists yet.
    pub fn exists(&self, tree: &Tree) -> bool {
        tree.has(self.door)
    }

    /// Whether the face offers the verb on its handle.
    pub fn has_verb(&self, tree: &Tree, verb: &Verb) -> bool {
        texts(tree, self.verbs_in).any(|text| (self.has_verb)(text, verb))
    }

    /// Whether the face can show the error.
    pub fn has_error(&self, tree: &Tree, error: &Fault) -> bool {
        texts(tree, self.errors_in).any(|text| (self.has_error)(text, error))
    }
}

fn texts<'a>(tree: &'a Tree, (start, end): (&'a str, &'a str)) -> impl Iterator<Item = &'a str> {
    // Python's stubs end in `.pyi` and show verbs as its sources do.
    let fits =
        move |path: &str| path.starts_with(start) && path.trim_end_matches('i').ends_with(end);
    tree.files()
        .filter(move |(path, _)| fits(path))
        .map(|(_, text)| text)
}

fn rust_verb(text: &str, verb: &Verb) -> bool {
    // `open` makes the handle, so it stands on what describes it.
    let on = if verb.name == "open" {
        "Options"
    } else {
        verb.on
    };
    // A kind of a generic handle, `pub type Events = Reader<Event>;`, has that one's verbs.
    let alias = text.split(&format!("pub type {on} = ")).nth(1);
    let generic = alias.and_then(|rest| rest.split('<').next());
    let generic = generic.map(|name| format!("impl<T: News> {name}<T> "));
    let heads = [Some(format!("impl {on} ")), generic];
    let mut bodies = heads.iter().flatten().flat_map(|head| block(text, head));
    bodies.any(|body| has_function(body, verb.name))
}

fn has_function(body: &str, name: &str) -> bool {
    ["pub fn ", "pub async fn "].iter().any(|lead| {
        body.match_indices(&format!("{lead}{name}"))
            .any(|(at, found)| {
                body.get(at + found.len()..)
                    .is_some_and(|rest| rest.starts_with(['(', '<']))
            })
    })
}

fn c_verb(text: &str, verb: &Verb) -> bool {
    let handle = if verb.on == "Primer" {
        String::new()
    } else {
        format!("{}_", snake(verb.on))
    };
    text.contains(&format!(" primer_{handle}{}(", verb.name))
}

fn c_error(text: &str, error: &Fault) -> bool {
    let (name, number) = (
        format!("PRIMER_E_{}", upper(error.kind)),
        error.number.to_string(),
    );
    text.lines()
        .any(|line| holds_word(line, &name) && holds_word(line, &number))
}

fn uniffi_verb(text: &str, verb: &Verb) -> bool {
    block(text, &format!("impl {} ", verb.on)).any(|body| has_function(body, verb.name))
}

fn python_verb(text: &str, verb: &Verb) -> bool {
    let call = format!("def {}(", verb.name);
    if verb.name == "open" {
        return text
            .lines()
            .any(|line| line.trim_start_matches("async ").starts_with(&call));
    }
    block(text, &format!("class {}", verb.on)).any(|body| body.contains(&call))
}

fn node_verb(text: &str, verb: &Verb) -> bool {
    let name = camel(verb.name);
    if verb.name == "open" {
        return text.contains("function open(");
    }
    let forms = [
        format!("{name}("),
        format!("{name}<"),
        format!("readonly {name}:"),
    ];
    let shows = |body: &str| {
        let mut lines = body.lines().map(str::trim_start);
        lines.any(|line| forms.iter().any(|form| line.starts_with(form.as_str())))
    };
    block(text, &format!("class {}", verb.on)).any(|body| {
        // A class also shows what the one that it extends does.
        let head = body.lines().next().unwrap_or_default();
        let base = head.split("extends ").nth(1).unwrap_or_default();
        let base = base.split(['<', ' ']).next().unwrap_or_default();
        shows(body) || (!base.is_empty() && block(text, &format!("class {base}")).any(shows))
    })
}

fn erlang_verb(text: &str, verb: &Verb) -> bool {
    let exports = text
        .match_indices("-export([")
        .filter_map(|(at, _)| text.get(at..)?.split("])").next());
    let name = verb.name;
    exports
        .flat_map(|list| list.split(['[', ',', ' ', '\n']))
        .any(|word| {
            word.split_once('/')
                .is_some_and(|(function, _)| function.trim_matches('\'') == name)
        })
}

/// The bodies of blocks that open with `head` at the start of a line (after `export`, `declare`):
/// all that follows until a line that is not indented again.
fn block<'a>(text: &'a str, head: &'a str) -> impl Iterator<Item = &'a str> {
    text.match_indices(head).filter_map(move |(at, _)| {
        let before = text.get(..at)?.rsplit('\n').next()?;
        let rest = text.get(at..)?;
        let name_ends = head.ends_with(' ') || !rest.get(head.len()..)?.starts_with(is_word);
        let is_head = before
            .split_whitespace()
            .all(|word| ["export", "declare", "abstract", "pub"].contains(&word));
        if !name_ends || !is_head {
            return None;
        }
        let mut end = rest.find('\n')?;
        for line in rest.get(end + 1..)?.split_inclusive('\n') {
            if line.starts_with(|c: char| !c.is_whitespace() && c != ')') {
                break;
            }
            end += line.len();
        }
        rest.get(..end)
    })
}

fn holds_word(text: &str, word: &str) -> bool {
    crate::source::words(text).any(|(_, found)| found == word)
}

/// `EnqueueMany` as `enqueue_many`.
fn snake(name: &str) -> String {
    let mut out = String::new();
    for (index, c) in name.char_indices() {
        if c.is_uppercase() && index > 0 {
            out.push('_');
        }
        out.extend(c.to_lowercase());
    }
    out
}

fn upper(name: &str) -> String {
    snake(name).to_uppercase()
}

/// `enqueue_many` as `enqueueMany`.
fn camel(name: &str) -> String {
    let mut parts = name.split('_');
    let first = parts.next().unwrap_or_default();
    parts.fold(String::from(first), |mut out, part| {
        let mut chars = part.chars();
        out.extend(chars.next().map(|c| c.to_ascii_uppercase()));
        out.push_str(chars.as_str());
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verb<'a>(on: &'a str, name: &'a str) -> Verb<'a> {
        Verb { on, name }
    }

    fn face(name: &str) -> &'static Face {
        FACES.iter().find(|face| face.name == name).unwrap()
    }

    #[test]
    fn each_face_shows_a_verb_on_its_own_handle_only() {
        let rust = "impl Queue {\n    pub fn ack(&self) {}\n}\nimpl Other {\n    pub fn nack(&self) {}\n}\n";
        let python = "class Queue:\n    def ack(self) -> None: ...\n\nclass Other:\n    def nack(self) -> None: ...\n";
        let node = "export declare class Queue<T> {\n  ackMany(d: X): void\n}\nexport class Other extends Reader<X> {\n  nack(): void\n}\n\
                    declare abstract class Reader<V> {\n  close(): void\n}\n";
        let tree = Tree::of(&[
            ("core/primer/src/queue.rs", rust),
            ("bindings/uniffi/src/queue.rs", rust),
            ("bindings/python/python/primer/_primer.pyi", python),
            ("bindings/nodejs/lib.d.ts", node),
            (
                "include/primer.h",
                "primer_code_t primer_queue_ack(x);\nprimer_code_t primer_join(x);\n",
            ),
            (
                "bindings/erlang/src/primer.erl",
                "-export([ack/1, enqueue/2,\n  close/1]).\nnack(X) -> ok.\n",
            ),
        ]);
        for name in ["rust", "uniffi", "python", "c", "erlang"] {
            assert!(face(name).has_verb(&tree, &verb("Queue", "ack")), "{name}");
            assert!(
                !face(name).has_verb(&tree, &verb("Queue", "nack")),
                "{name}"
            );
        }
        assert!(face("nodejs").has_verb(&tree, &verb("Queue", "ack_many")));
        assert!(!face("nodejs").has_verb(&tree, &verb("Queue", "nack")));
        assert!(face("nodejs").has_verb(&tree, &verb("Other", "close")));
        assert!(!face("nodejs").has_verb(&tree, &verb("Queue", "close")));
        assert!(face("c").has_verb(&tree, &verb("Primer", "join")));
        assert!(!face("c").has_verb(&tree, &verb("Queue", "join")));
    }

    #[test]
    fn an_error_is_known_by_name_and_number_or_by_its_hundred() {
        let tree = Tree::of(&[
            (
                "include/primer.h",
                "#define PRIMER_E_TOO_LARGE 104\n#define PRIMER_E_FULL 20\n",
            ),
            (
                "bindings/python/python/primer/_errors.py",
                "class WrongCall(PrimerError): ...\n",
            ),
            ("bindings/erlang/native/src/atoms.rs", "wrong_call,\n"),
        ]);
        let large = Fault {
            kind: "TooLarge",
            number: 104,
            hundred: "WrongCall",
        };
        let full = Fault {
            kind: "Full",
            number: 201,
            hundred: "NotNow",
        };
        for name in ["c", "python", "erlang"] {
            assert!(face(name).has_error(&tree, &large), "{name}");
            assert!(!face(name).has_error(&tree, &full), "{name}");
        }
    }

    #[test]
    fn names_are_computed() {
        assert_eq!(
            (snake("LeaseLost").as_str(), upper("Io").as_str()),
            ("lease_lost", "IO")
        );
        assert_eq!(camel("enqueue_many"), "enqueueMany");
    }
}
