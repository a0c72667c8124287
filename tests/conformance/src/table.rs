//! `surface.toml`, read into rows.
//!
//! The file keeps to a subset of TOML (its own head says which), so that these few lines read all of
//! it and a line that they do not understand is an error, never a row that is missing.

use std::collections::BTreeMap;

/// One `[[kind]]` of the table with its keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Row {
    /// verb, option, value or error.
    pub kind: String,
    /// Where it begins, counted from 1.
    pub line: usize,
    keys: BTreeMap<String, Value>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Value {
    Number(u64),
    Text(String),
    List(Vec<Value>),
}

impl Row {
    /// The text of `key`; empty when it has none.
    #[must_use]
    pub fn text(&self, key: &str) -> &str {
        match self.keys.get(key) {
            Some(Value::Text(text)) => text,
            _ => "",
        }
    }

    /// The number of `key`, if it has one.
    #[must_use]
    pub fn number(&self, key: &str) -> Option<u64> {
        match self.keys.get(key) {
            Some(Value::Number(number)) => Some(*number),
            _ => None,
        }
    }

    /// The texts of the list `key`.
    pub fn texts(&self, key: &str) -> impl Iterator<Item = &str> {
        self.list(key).iter().filter_map(|value| match value {
            Value::Text(text) => Some(text.as_str()),
            _ => None,
        })
    }

    /// The numbers of the list `key`.
    pub fn numbers(&self, key: &str) -> impl Iterator<Item = u64> {
        self.list(key).iter().filter_map(|value| match value {
            Value::Number(number) => Some(*number),
            _ => None,
        })
    }

    fn list(&self, key: &str) -> &[Value] {
        match self.keys.get(key) {
            Some(Value::List(list)) => list,
            _ => &[],
        }
    }
}

/// The keys that a row of each kind must have, and no others.
const KEYS: &[(&str, &[&str])] = &[
    (
        "verb",
        &[
            "on", "or?", "name", "takes", "gives", "fails", "doc", "absent",
        ],
    ),
    ("option", &["of", "name", "type", "default", "doc"]),
    ("value", &["name", "fields", "doc"]),
    ("error", &["number", "name", "hundred", "doc"]),
];

/// The rows of a table's text. Errors: `surface.toml:line: what is wrong`.
pub fn parse(text: &str) -> Result<Vec<Row>, String> {
    let mut rows: Vec<Row> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line_number = index + 1;
        let told = |what: &str| format!("surface.toml:{line_number}: {what}");
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(kind) = line
            .strip_prefix("[[")
            .and_then(|rest| rest.strip_suffix("]]"))
        {
            rows.push(Row {
                kind: kind.into(),
                line: line_number,
                ..Row::default()
            });
            continue;
        }
        let (key, value) = line
            .split_once(" = ")
            .ok_or_else(|| told("neither [[kind]] nor key = value"))?;
        let (value, rest) = value_of(value).map_err(told)?;
        if !rest.trim().is_empty() {
            return Err(told("something stands behind the value"));
        }
        let row = rows
            .last_mut()
            .ok_or_else(|| told("a key before any [[kind]]"))?;
        if row.keys.insert(key.trim().into(), value).is_some() {
            return Err(told("the key is there twice"));
        }
    }
    for row in &rows {
        check(row).map_err(|what| format!("surface.toml:{}: {what}", row.line))?;
    }
    Ok(rows)
}

fn check(row: &Row) -> Result<(), String> {
    let (_, keys) = KEYS
        .iter()
        .find(|(kind, _)| *kind == row.kind)
        .ok_or_else(|| format!("there is no kind `{}`", row.kind))?;
    for key in *keys {
        if !key.ends_with('?') && !row.keys.contains_key(*key) {
            return Err(format!("`{key}` is missing"));
        }
    }
    for key in row.keys.keys() {
        if !keys.iter().any(|known| known.trim_end_matches('?') == key) {
            return Err(format!("a {} has no `{key}`", row.kind));
        }
    }
    Ok(())
}

/// One value from the front of `text`, and what stands behind it.
fn value_of(text: &str) -> Result<(Value, &str), &'static str> {
    let text = text.trim_start();
    if let Some(rest) = text.strip_prefix('"') {
        return text_of(rest);
    }
    if let Some(mut rest) = text.strip_prefix('[') {
        let mut list = Vec::new();
        loop {
            rest = rest.trim_start();
            if let Some(rest) = rest.strip_prefix(']') {
                return Ok((Value::List(list), rest));
            }
            let (value, behind) = value_of(rest)?;
            list.push(value);
            rest = behind.trim_start();
            rest = rest.strip_prefix(',').unwrap_or(rest);
        }
    }
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    let number = digits
        .parse()
        .map_err(|_| "neither a number nor a text nor a list")?;
    Ok((Value::Number(number), rest))
}

fn text_of(text: &str) -> Result<(Value, &str), &'static str> {
    let mut out = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Ok((Value::Text(out), text.get(at + 1..).unwrap_or_default())),
            '\\' => out.extend(chars.next().map(|(_, escaped)| escaped)),
            _ => out.push(c),
        }
    }
    Err("a text has no end")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_real_table_can_be_read() {
        let text = std::fs::read_to_string(crate::folder().join("surface.toml")).unwrap();
        let rows = parse(&text).unwrap();
        let open = rows.iter().find(|row| row.text("name") == "open").unwrap();
        assert_eq!(
            open.numbers("fails").collect::<Vec<_>>(),
            [101, 106, 107, 108, 502, 503]
        );
        assert_eq!(
            open.texts("takes").collect::<Vec<_>>(),
            ["options: Options"]
        );
        assert!(rows.iter().any(|row| row.number("number") == Some(599)));
    }

    #[test]
    fn a_line_that_is_not_understood_is_an_error() {
        let error = "[[error]]\nnumber = 1\nname = \"N\"\nhundred = \"H\"\n";
        for (text, told) in [
            (
                "key = 1".into(),
                "surface.toml:1: a key before any [[kind]]",
            ),
            (
                "[[verb]]\nname open".into(),
                "surface.toml:2: neither [[kind]] nor key = value",
            ),
            (
                "[[thing]]".into(),
                "surface.toml:1: there is no kind `thing`",
            ),
            (error.into(), "surface.toml:1: `doc` is missing"),
            (
                format!("{error}doc = \"d"),
                "surface.toml:5: a text has no end",
            ),
            (
                format!("{error}doc = \"d\"\nmore = 2"),
                "surface.toml:1: a error has no `more`",
            ),
            (
                format!("{error}doc = \"d\"\ndoc = \"e\""),
                "surface.toml:6: the key is there twice",
            ),
            (
                format!("{error}doc = x"),
                "surface.toml:5: neither a number nor a text nor a list",
            ),
        ] {
            let text: String = text;
            assert_eq!(parse(&text).unwrap_err(), told);
        }
    }
}
