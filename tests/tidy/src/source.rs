//! Rust text with its comments and strings blanked out, so that a check sees code alone.

/// The text with every comment, string and character literal replaced by blanks; lines stay lines.
pub fn bare(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = literal(rest);
        if length == 0 {
            out.push(first);
            rest = rest.get(first.len_utf8()..).unwrap_or_default();
            // An identifier's end must not look like the start of r"..." or b'x'.
            if is_word(first) {
                let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
                let (word, behind) = rest.split_at(end);
                out.push_str(word);
                rest = behind;
            }
            continue;
        }
        let (hidden, behind) = rest.split_at_checked(length).unwrap_or((rest, ""));
        out.extend(hidden.chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
        rest = behind;
    }
    out
}

/// How many bytes of a comment or literal stand at the front; 0 for code.
fn literal(text: &str) -> usize {
    let whole = text.len();
    if text.starts_with("//") {
        return text.find('\n').unwrap_or(whole);
    }
    if text.starts_with("/*") {
        return text.find("*/").map_or(whole, |at| at + 2);
    }
    let body = text.strip_prefix(['b', 'c']).unwrap_or(text);
    let lead = whole - body.len();
    if let Some(hashes) = body.strip_prefix('r') {
        let inner = hashes.trim_start_matches('#');
        if let Some(inner) = inner.strip_prefix('"') {
            let end = format!("\"{}", "#".repeat(hashes.len() - inner.len() - 1));
            let start = whole - inner.len();
            return inner.find(&end).map_or(whole, |at| start + at + end.len());
        }
    }
    if body.starts_with('"') {
        return lead + quoted(body);
    }
    let mut chars = body.chars();
    if chars.next() == Some('\'') {
        // A lifetime has no closing quote behind one character.
        return match (chars.next(), chars.next()) {
            (Some('\\'), _) => {
                lead + body
                    .get(2..)
                    .and_then(|b| b.get(1..)?.find('\''))
                    .map_or(2, |at| at + 4)
            }
            (Some(c), Some('\'')) => lead + c.len_utf8() + 2,
            _ => 0,
        };
    }
    0
}

fn quoted(text: &str) -> usize {
    let mut is_escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// Whether `c` can stand inside an identifier.
pub fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The words of a text, each with its line counted from 1.
pub fn words(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().enumerate().flat_map(|(index, line)| {
        line.split(|c| !is_word(c))
            .filter(|word| !word.is_empty())
            .map(move |word| (index + 1, word))
    })
}

/// How many lines stand before the tests at the end of a file.
pub fn lines_without_tests(text: &str) -> usize {
    let mut lines = text.lines().peekable();
    let mut count = 0;
    while let Some(line) = lines.next() {
        if line == "#[cfg(test)]" && lines.peek().is_some_and(|next| next.starts_with("mod ")) {
            break;
        }
        count += 1;
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_blank_and_lines_stay() {
        let text = "a // crate::x\nb /* y\nz */ c \"crate::\\\" d\" e r#\"f\"g\"# h 'i' '\\'' 'static j b\"k\" for\"l\" '\\u{41}' m";
        let bared = bare(text);
        assert_eq!(bared.lines().count(), text.lines().count());
        let left: Vec<&str> = bared.split_whitespace().collect();
        assert_eq!(left, ["a", "b", "c", "e", "h", "'static", "j", "for", "m"]);
    }

    #[test]
    fn tests_at_the_end_are_not_counted() {
        assert_eq!(
            lines_without_tests("one\ntwo\n\n#[cfg(test)]\nmod tests {\n}\n"),
            3
        );
        assert_eq!(lines_without_tests("one\n#[cfg(test)]\nuse x;\n"), 3);
    }
}
