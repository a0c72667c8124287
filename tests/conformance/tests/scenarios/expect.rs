//! What a step gave, held against what it was to give.

use primer::{Delivery, Error, MessageId, Receipt, Result};
use primer_conformance::scenario::Word;

/// What came of a step.
pub enum Given {
    /// It is done.
    Done,
    /// A word: `some` or `none`.
    Word(&'static str),
    /// One number each.
    Codes(Vec<u16>),
    /// Of enqueue and enqueue_many.
    Receipts(Vec<Receipt>),
    /// Of receive and next.
    Deliveries(Vec<Delivery>),
}

/// The number that `-> error N` names, if it does.
pub fn error_of(expect: &[Vec<Word>]) -> Option<u16> {
    match expect {
        [group] => match group.as_slice() {
            [word, number] if word.key.is_none() && word.value == b"error" => {
                number.text().parse().ok()
            }
            _ => None,
        },
        _ => None,
    }
}

/// True for `-> word` alone.
pub fn is_only(expect: &[Vec<Word>], wanted: &str) -> bool {
    matches!(expect, [group] if matches!(group.as_slice(), [word] if word.text() == wanted && !word.is_text))
}

/// Parts a result: what was given, none when the error that came was expected. Errors: what differs.
pub fn settle<T>(result: Result<T, Error>, expect: &[Vec<Word>]) -> Result<Option<T>, String> {
    match (result, error_of(expect)) {
        (Err(error), Some(number)) if error.number() == number => Ok(None),
        (Err(error), Some(number)) => Err(format!("wanted error {number}, got {error}")),
        (Err(error), None) => Err(format!("failed: {error}")),
        (Ok(_), Some(number)) => Err(format!("wanted error {number}, but it succeeded")),
        (Ok(value), None) => Ok(Some(value)),
    }
}

/// Holds one receipt's counts (`copies=2 wanted=2`) against it.
pub fn check_receipt(receipt: &Receipt, words: &[Word]) -> Result<(), String> {
    for word in words {
        let has = match word.key.as_deref() {
            Some("copies") => receipt.copies.to_string(),
            Some("wanted") => receipt.wanted.to_string(),
            Some("durable_copies") => receipt.durable_copies.to_string(),
            Some("is_duplicate") => receipt.is_duplicate.to_string(),
            other => return Err(format!("a receipt has no `{other:?}`")),
        };
        if word.text() != has {
            return Err(format!(
                "wanted {}={}, got {has}",
                word.key.as_deref().unwrap_or(""),
                word.text()
            ));
        }
    }
    Ok(())
}

/// Holds a delivery's body, attempts and headers against what is written of them.
pub fn check_delivery(delivery: &Delivery, words: &[Word]) -> Result<(), String> {
    for word in words {
        match word.key.as_deref() {
            None if delivery.body().as_ref() == word.value => {}
            None => {
                let (got, wanted) = (delivery.body().len(), word.value.len());
                let shown =
                    String::from_utf8_lossy(delivery.body().get(..40.min(got)).unwrap_or_default());
                return Err(format!(
                    "the body differs: {got} bytes {shown:?}, wanted {wanted} bytes"
                ));
            }
            Some("attempts") => {
                if word.text() != delivery.attempts().to_string() {
                    return Err(format!(
                        "wanted attempts={}, got {}",
                        word.text(),
                        delivery.attempts()
                    ));
                }
            }
            Some("priority") => {
                if word.text() != delivery.priority().to_string() {
                    return Err(format!(
                        "wanted priority={}, got {}",
                        word.text(),
                        delivery.priority()
                    ));
                }
            }
            Some("key") => {
                if delivery.key() != Some(word.text().as_str()) {
                    return Err(format!(
                        "wanted key={}, got {:?}",
                        word.text(),
                        delivery.key()
                    ));
                }
            }
            Some(key) => {
                let name = key
                    .strip_prefix("header.")
                    .ok_or(format!("a delivery has no `{key}`"))?;
                let has = delivery.headers().iter().find(|(key, _)| key == name);
                if has.map(|(_, value)| value.as_bytes()) != Some(&word.value[..]) {
                    return Err(format!(
                        "wanted header {name}={:?}, got {has:?}",
                        word.text()
                    ));
                }
            }
        }
    }
    Ok(())
}

/// How deliveries are shown when they are not the ones that were wanted.
pub fn shown(deliveries: &[Delivery], name_of: impl Fn(MessageId) -> String) -> String {
    let each = deliveries
        .iter()
        .map(|d| format!("{} attempts={}", name_of(d.id()), d.attempts()));
    format!("[{}]", each.collect::<Vec<_>>().join(", "))
}
