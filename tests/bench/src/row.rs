//! Rows: what was measured, and of what it is a ratio.

use std::collections::BTreeMap;

use crate::Outcome;

/// What one round of a row gives.
pub type Measure<'a> = Box<dyn FnMut() -> Outcome<f64> + 'a>;

/// One line of the bench.
pub struct Row<'a> {
    /// What is done.
    pub name: &'static str,
    /// Of its value.
    pub unit: &'static str,
    /// The row that it is a ratio of; empty for a limit.
    pub reference: &'static str,
    /// One round.
    pub measure: Measure<'a>,
}

/// A line that is printed.
#[derive(Debug, Clone)]
pub struct Line {
    /// What was done.
    pub name: String,
    /// Median of the rounds.
    pub value: f64,
    /// Of the value.
    pub unit: String,
    /// The row that it is a ratio of; empty for a limit.
    pub reference: String,
    /// Value by the reference's value.
    pub ratio: Option<f64>,
}

/// Runs all rows in turn, `rounds` times, and answers their medians. Errors: the first that failed.
pub fn run(rows: &mut [Row<'_>], rounds: usize) -> Outcome<Vec<Line>> {
    let mut values: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for _ in 0..rounds {
        for row in rows.iter_mut() {
            let value = (row.measure)().map_err(|why| format!("{}: {why}", row.name))?;
            values.entry(row.name).or_default().push(value);
        }
    }
    let medians: BTreeMap<&str, f64> = values
        .into_iter()
        .map(|(name, values)| (name, median(values)))
        .collect();
    let lines = rows.iter().map(|row| {
        let value = medians.get(row.name).copied().unwrap_or_default();
        Line {
            name: row.name.into(),
            value,
            unit: row.unit.into(),
            reference: row.reference.into(),
            ratio: medians
                .get(row.reference)
                .map(|reference| value / reference),
        }
    });
    Ok(lines.collect())
}

/// The middle one; of two, the lower.
#[must_use]
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values
        .get(values.len().saturating_sub(1) / 2)
        .copied()
        .unwrap_or_default()
}

impl Line {
    /// Row, value, unit, reference, ratio, with tabs between them.
    #[must_use]
    pub fn as_tabs(&self) -> String {
        let ratio = self
            .ratio
            .map_or_else(String::new, |ratio| format!("{ratio:.3}"));
        let (name, unit, reference) = (&self.name, &self.unit, &self.reference);
        format!("{name}\t{:.1}\t{unit}\t{reference}\t{ratio}", self.value)
    }

    /// The same as one JSON object.
    #[must_use]
    pub fn as_json(&self) -> String {
        serde_json::json!({
            "row": self.name,
            "value": self.value,
            "unit": self.unit,
            "reference": self.reference,
            "ratio": self.ratio,
        })
        .to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_the_median_of_its_rounds_and_a_ratio_of_its_reference() {
        let mut left = [9.0, 1.0, 4.0].into_iter();
        let mut rows = [
            Row {
                name: "limit",
                unit: "x",
                reference: "",
                measure: Box::new(|| Ok(2.0)),
            },
            Row {
                name: "work",
                unit: "x",
                reference: "limit",
                measure: Box::new(move || left.next().ok_or_else(|| "no more".into())),
            },
        ];
        let lines = run(&mut rows, 3).unwrap();
        assert_eq!(lines[0].ratio, None);
        assert_eq!(lines[1].as_tabs(), "work\t4.0\tx\tlimit\t2.000");
    }
}
