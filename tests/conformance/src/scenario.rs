//! The scenario language (README.md beside this crate), read into steps.
//!
//! The parser every other runner imitates: it cuts lines into words and knows each step's shape, so
//! that a slip of the pen is an error with its file and line and never a step that passes unseen.
//! What a step does and expects is the runner's business.

/// One word of a step: `name`, `"text"`, `bytes:8`, or `key=` any of these.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Word {
    /// Before the first `=` outside quotes.
    pub key: Option<String>,
    /// The bytes after quotes, escapes and `bytes:N` are resolved.
    pub value: Vec<u8>,
    /// True for a word written in quotes or as `bytes:N` or `name:N`: a body, never a name.
    pub is_text: bool,
}

impl Word {
    /// The value as text; bytes that are not UTF-8 are replaced.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.value).into_owned()
    }
}

/// One line: `verb argument... key=value... -> expectation`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Counted from 1.
    pub line: usize,
    /// Its first word.
    pub verb: String,
    /// The words without a key, in order.
    pub args: Vec<Word>,
    /// The words with a key, in order.
    pub options: Vec<Word>,
    /// What stands behind `->`, cut at commas; empty when the step must simply succeed.
    pub expect: Vec<Vec<Word>>,
}

/// A step's shape: its verb, how many arguments it takes, and which keys.
type Shape = (&'static str, usize, usize, &'static [&'static str]);

const ENQUEUE: &[&str] = &[
    "copies",
    "on_short",
    "timeout",
    "header.",
    "priority",
    "delay",
    "at",
    "ttl",
    "max_attempts",
    "at_most_once",
    "if_no_group",
    "key",
    "dedup",
    "dedup_window",
];

const RECEIVE: &[&str] = &["max", "wait", "lease", "group", "backlog"];
const BROWSE: &[&str] = &[
    "max",
    "after",
    "group",
    "states",
    "header.",
    "body_bytes",
    "timeout",
    "cursor",
    "missing",
];
const REDRIVE: &[&str] = &[
    "to", "max", "header.", "ids", "dry_run", "timeout", "missing",
];
const SUBSCRIBE: &[&str] = &[
    "credit",
    "credit_bytes",
    "lease",
    "max_run",
    "group",
    "backlog",
];

/// Every step there is. A key that ends in `.` stands for all keys that begin so; `*` for any key.
#[rustfmt::skip]
const SHAPES: &[Shape] = &[
    ("open", 1, 1, &["*"]), ("join", 2, 2, &[]), ("members", 1, 1, &[]), ("address", 1, 1, &[]),
    ("event", 2, 2, &[]), ("stats", 2, 2, &[]),
    ("enqueue", 3, 3, ENQUEUE), ("enqueue_many", 3, 99, ENQUEUE),
    ("call", 3, 3, ENQUEUE), ("reply", 3, 3, &["header."]), ("replied", 1, 1, &[]),
    ("receive", 2, 2, RECEIVE), ("browse", 2, 2, BROWSE), ("explain", 2, 2, &["missing"]),
    ("redrive", 2, 2, REDRIVE), ("doctor", 2, 2, &["missing"]),
    ("ack", 2, 2, &[]), ("ack_many", 2, 99, &[]), ("nack", 2, 2, &["delay"]), ("release", 2, 2, &[]),
    ("reject", 2, 2, &["reason"]),
    ("extend", 2, 2, &["lease"]), ("drop", 2, 2, &[]),
    ("subscribe", 2, 2, SUBSCRIBE), ("next", 1, 1, &["wait"]), ("credit", 2, 2, &[]),
    ("unsubscribe", 1, 1, &[]), ("leave", 1, 1, &["drain", "force"]), ("close", 1, 1, &[]),
    ("broadcast", 3, 3, &[]), ("on", 2, 2, &[]), ("heard", 1, 2, &["from"]), ("unlisten", 1, 1, &[]),
    ("put", 3, 3, &[]), ("get", 2, 2, &[]), ("delete", 2, 2, &[]), ("list", 2, 2, &[]),
    ("watch", 2, 2, &[]), ("changed", 1, 3, &[]), ("evict", 2, 2, &[]), ("reclaim", 1, 1, &["keep"]),
    ("rotate", 2, 2, &[]),
    ("create_group", 3, 3, &["backlog"]), ("remove_group", 3, 3, &[]), ("groups", 2, 2, &[]),
    ("configure", 3, 3, &[]), ("configuration", 2, 2, &[]), ("pause", 3, 3, &[]), ("resume", 2, 2, &[]),
    ("purge", 2, 2, &[]), ("set_policy", 3, 3, &[]), ("remove_policy", 2, 2, &[]), ("policies", 1, 1, &[]),
];

/// The steps of a file's text. Errors: `name:line: what is wrong`.
pub fn parse(name: &str, text: &str) -> Result<Vec<Step>, String> {
    let mut steps = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let at = |what: String| format!("{name}:{}: {what}", index + 1);
        if let Some(step) = step(index + 1, line).map_err(at)? {
            steps.push(step);
        }
    }
    if steps.is_empty() {
        return Err(format!("{name}:1: no step at all"));
    }
    Ok(steps)
}

fn step(line: usize, text: &str) -> Result<Option<Step>, String> {
    let mut words = cut(text)?.into_iter();
    let Some(verb) = words.next() else {
        return Ok(None);
    };
    let mut step = Step {
        line,
        verb: verb.text(),
        args: Vec::new(),
        options: Vec::new(),
        expect: Vec::new(),
    };
    for word in words {
        if word.is("->") || word.is(",") {
            step.expect.push(Vec::new());
        } else if let Some(group) = step.expect.last_mut() {
            group.push(word);
        } else if word.key.is_some() {
            step.options.push(word);
        } else {
            step.args.push(word);
        }
    }
    check(&step)?;
    Ok(Some(step))
}

fn check(step: &Step) -> Result<(), String> {
    let shape = SHAPES.iter().find(|shape| shape.0 == step.verb);
    let Some((verb, least, most, keys)) = shape else {
        return Err(format!("there is no step `{}`", step.verb));
    };
    if !(*least..=*most).contains(&step.args.len()) {
        return Err(format!(
            "`{verb}` takes {least} to {most} arguments, not {}",
            step.args.len()
        ));
    }
    for key in step.options.iter().filter_map(|word| word.key.as_deref()) {
        let fits = |k: &&str| *k == "*" || *k == key || (k.ends_with('.') && key.starts_with(*k));
        if !keys.iter().any(fits) {
            return Err(format!("`{verb}` has no key `{key}`"));
        }
    }
    if step.expect.iter().any(Vec::is_empty) {
        return Err("nothing stands behind `->` or a comma".into());
    }
    Ok(())
}

/// Cuts a line into words at blanks; behind `->` a comma is a word of its own.
fn cut(text: &str) -> Result<Vec<Word>, String> {
    let mut words: Vec<Word> = Vec::new();
    let mut word = Word::default();
    let (mut is_quoted, mut is_expectation) = (false, false);
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => {
                is_quoted = !is_quoted;
                word.is_text = true;
            }
            b'\\' if is_quoted => word.value.push(escape(&mut bytes)?),
            _ if is_quoted => word.value.push(byte),
            b'#' => break,
            b' ' | b'\t' => word.finish(&mut words)?,
            b',' if is_expectation => {
                word.finish(&mut words)?;
                words.push(Word::plain(","));
            }
            b'=' if word.key.is_none() && !word.is_text => {
                word.key = Some(word.text());
                word.value.clear();
            }
            _ => word.value.push(byte),
        }
        is_expectation |= word.is("->");
    }
    if is_quoted {
        return Err("a text has no end".into());
    }
    word.finish(&mut words)?;
    Ok(words)
}

impl Word {
    fn plain(value: &str) -> Word {
        Word {
            value: value.into(),
            ..Word::default()
        }
    }

    fn is(&self, value: &str) -> bool {
        self.key.is_none() && !self.is_text && self.value == value.as_bytes()
    }

    /// Puts the word behind the others, if there is one, and begins anew.
    fn finish(&mut self, words: &mut Vec<Word>) -> Result<(), String> {
        let mut word = std::mem::take(self);
        if word == Word::default() {
            return Ok(());
        }
        if !word.is_text {
            let text = word.text();
            let long = text.strip_prefix("bytes:").map(|count| (b'x', count));
            if let Some((letter, count)) =
                long.or(text.strip_prefix("name:").map(|count| (b'q', count)))
            {
                let count = count
                    .parse()
                    .map_err(|_| format!("`{text}` has no number"))?;
                word.value = vec![letter; count];
                word.is_text = true;
            }
        }
        words.push(word);
        Ok(())
    }
}

fn escape(bytes: &mut impl Iterator<Item = u8>) -> Result<u8, String> {
    let wrong = || String::from("an escape is one of \\\" \\\\ \\n \\xNN");
    match bytes.next() {
        Some(b'n') => Ok(b'\n'),
        Some(byte @ (b'"' | b'\\')) => Ok(byte),
        Some(b'x') => {
            let digits: String = bytes.take(2).map(char::from).collect();
            u8::from_str_radix(&digits, 16).map_err(|_| wrong())
        }
        _ => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn only(text: &str) -> Step {
        parse("x.scn", text).unwrap().remove(0)
    }

    #[test]
    fn a_step_has_a_verb_arguments_options_and_expectations() {
        let step =
            only("enqueue a jobs \"one two\" copies=2 header.k=\"v=1\" -> m1 copies=2  # why");
        assert_eq!(
            (step.line, step.verb.as_str(), step.args.len()),
            (1, "enqueue", 3)
        );
        assert_eq!(
            (step.args[2].text().as_str(), step.args[2].is_text),
            ("one two", true)
        );
        assert_eq!(step.options[1].key.as_deref(), Some("header.k"));
        assert_eq!(step.options[1].value, b"v=1");
        assert_eq!(step.expect[0][1].key.as_deref(), Some("copies"));
    }

    #[test]
    fn commas_part_expected_messages_but_not_arguments() {
        let step = only("receive a jobs max=2 -> m1 \"a, b\" attempts=1, m2");
        let sizes: Vec<usize> = step.expect.iter().map(Vec::len).collect();
        assert_eq!(sizes, [3, 1]);
        assert_eq!(only("open c join=a,b").options[0].value, b"a,b");
    }

    #[test]
    fn escapes_and_lengths_make_any_body() {
        let step = only(r#"enqueue_many a name:3 "\x00\xff\n\"\\#" bytes:4 """#);
        assert_eq!(step.args[1].value, b"qqq");
        assert_eq!(step.args[2].value, b"\x00\xff\n\"\\#");
        assert_eq!(
            (step.args[3].value.as_slice(), step.args[3].is_text),
            (&b"xxxx"[..], true)
        );
        assert_eq!(
            (step.args[4].value.as_slice(), step.args[4].is_text),
            (&b""[..], true)
        );
    }

    #[test]
    fn a_slip_of_the_pen_is_told_with_file_and_line() {
        for (text, told) in [
            ("\n\nopne a", "x.scn:3: there is no step `opne`"),
            (
                "enqueue a jobs",
                "x.scn:1: `enqueue` takes 3 to 3 arguments, not 2",
            ),
            (
                "receive a jobs weight=1",
                "x.scn:1: `receive` has no key `weight`",
            ),
            (
                "receive a jobs ->",
                "x.scn:1: nothing stands behind `->` or a comma",
            ),
            (
                "receive a jobs -> m1,",
                "x.scn:1: nothing stands behind `->` or a comma",
            ),
            ("enqueue a jobs \"one", "x.scn:1: a text has no end"),
            (
                "enqueue a jobs bytes:many",
                "x.scn:1: `bytes:many` has no number",
            ),
            ("# nothing", "x.scn:1: no step at all"),
        ] {
            assert_eq!(parse("x.scn", text).unwrap_err(), told);
        }
    }
}
