//! [`PrimerError`]: a variant for each hundred, so that a host catches what it can act on.

use std::collections::HashMap;
use std::fmt;

type Context = HashMap<String, String>;

/// What went wrong. The variant is the hundred of the number and says what to do.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Error)]
pub enum PrimerError {
    /// 1xx: mend the call. Nothing happened.
    WrongCall {
        /// The stable number, as 101.
        number: u16,
        /// The stable name, as "InvalidArgument".
        kind: String,
        /// The whole error in one line.
        message: String,
        /// The values that matter.
        context: HashMap<String, String>,
    },
    /// 2xx: try again later. Nothing happened.
    NotNow {
        /// The stable number, as 202.
        number: u16,
        /// The stable name, as "Unreachable".
        kind: String,
        /// The whole error in one line.
        message: String,
        /// The values that matter.
        context: HashMap<String, String>,
    },
    /// 3xx: unknown whether it happened; retry if a duplicate is harmless.
    InDoubt {
        /// The stable number, as 301.
        number: u16,
        /// The stable name, as "CopiesShort".
        kind: String,
        /// The whole error in one line.
        message: String,
        /// The values that matter.
        context: HashMap<String, String>,
    },
    /// 4xx: let it go. Nothing happened.
    TooLate {
        /// The stable number, as 402.
        number: u16,
        /// The stable name, as "AlreadyDone".
        kind: String,
        /// The whole error in one line.
        message: String,
        /// The values that matter.
        context: HashMap<String, String>,
    },
    /// 5xx: this member must stop or be opened again.
    MemberDown {
        /// The stable number, as 501.
        number: u16,
        /// The stable name, as "Closed".
        kind: String,
        /// The whole error in one line.
        message: String,
        /// The values that matter.
        context: HashMap<String, String>,
    },
}

impl PrimerError {
    fn parts(&self) -> (u16, &str, &Context) {
        match self {
            Self::WrongCall {
                number,
                message,
                context,
                ..
            }
            | Self::NotNow {
                number,
                message,
                context,
                ..
            }
            | Self::InDoubt {
                number,
                message,
                context,
                ..
            }
            | Self::TooLate {
                number,
                message,
                context,
                ..
            }
            | Self::MemberDown {
                number,
                message,
                context,
                ..
            } => (*number, message, context),
        }
    }

    /// The stable number (house.md 4).
    #[must_use]
    pub fn number(&self) -> u16 {
        self.parts().0
    }

    /// The values that matter.
    #[must_use]
    pub fn context(&self) -> &HashMap<String, String> {
        self.parts().2
    }
}

impl From<primer::Error> for PrimerError {
    fn from(error: primer::Error) -> Self {
        let (number, kind) = (error.number(), error.kind().name().to_owned());
        let message = error.to_string();
        let context = error
            .context()
            .iter()
            .map(|(key, value)| ((*key).to_owned(), value.clone()))
            .collect();
        match number / 100 {
            1 => Self::WrongCall {
                number,
                kind,
                message,
                context,
            },
            2 => Self::NotNow {
                number,
                kind,
                message,
                context,
            },
            3 => Self::InDoubt {
                number,
                kind,
                message,
                context,
            },
            4 => Self::TooLate {
                number,
                kind,
                message,
                context,
            },
            _ => Self::MemberDown {
                number,
                kind,
                message,
                context,
            },
        }
    }
}

impl fmt::Display for PrimerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.parts().1)
    }
}

impl std::error::Error for PrimerError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_keeps_its_number_and_lands_in_the_variant_of_its_hundred() {
        for kind in primer::ErrorKind::ALL {
            let error = PrimerError::from(primer::Error::new(*kind));
            assert_eq!(error.number(), kind.number());
            let hundred = match error {
                PrimerError::WrongCall { .. } => 1,
                PrimerError::NotNow { .. } => 2,
                PrimerError::InDoubt { .. } => 3,
                PrimerError::TooLate { .. } => 4,
                PrimerError::MemberDown { .. } => 5,
            };
            assert_eq!(hundred, kind.number() / 100);
        }
    }

    #[test]
    fn the_reason_and_the_values_that_matter_come_across() {
        let error = primer::Error::new(primer::ErrorKind::CopiesShort)
            .because("two members answered")
            .with("wanted", 3);
        let error = PrimerError::from(error);
        assert_eq!(
            error.to_string(),
            "301 CopiesShort: two members answered (wanted = 3)"
        );
        assert_eq!(error.context().get("wanted").map(String::as_str), Some("3"));
    }
}
