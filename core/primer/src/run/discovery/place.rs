//! Which directory the members of one user on one machine meet in.
//!
//! The first of: `$PRIMER_RUNTIME_DIR`; `primer` in `$XDG_RUNTIME_DIR`, if that is this user's own; `primer` in
//! `/run/user/<uid>`, which is the same place seen from a service without a session; and
//! `primer-<uid>` in the directory for temporary files. Whoever else can look into it is refused.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use primer_proto::{Error, ErrorKind, Result};

use crate::run::private::{self, Closed};

const CHOSEN: &str = "PRIMER_RUNTIME_DIR";
const SESSION: &str = "XDG_RUNTIME_DIR";

/// What the choice depends on.
#[derive(Clone)]
struct Surroundings {
    chosen: Option<PathBuf>,
    session: Option<PathBuf>,
    /// Where each user may have a directory by its number.
    users: PathBuf,
    temporary: PathBuf,
    user: u32,
}

/// The directory, made if it is missing. Errors: 101 when it is another's or open to others, or
/// the environment names no absolute path; 502 when it cannot be made.
pub(crate) fn find() -> Result<PathBuf> {
    let of = |name| {
        std::env::var_os(name)
            .filter(|path| !path.is_empty())
            .map(PathBuf::from)
    };
    enter(&Surroundings {
        chosen: of(CHOSEN),
        session: of(SESSION),
        users: "/run/user".into(),
        temporary: std::env::temp_dir(),
        user: private::user(),
    })
}

fn enter(around: &Surroundings) -> Result<PathBuf> {
    let place = choose(around);
    if !place.is_absolute() {
        return Err(Error::new(ErrorKind::InvalidArgument)
            .because("the runtime directory is no absolute path")
            .with(CHOSEN, place.display()));
    }
    private::directory(&place, Closed::ToAll)?;
    Ok(place)
}

fn choose(around: &Surroundings) -> PathBuf {
    if let Some(chosen) = &around.chosen {
        return chosen.clone();
    }
    let session = around.session.clone();
    let session = session.filter(|session| session.is_absolute());
    let sessions = session
        .into_iter()
        .chain([around.users.join(around.user.to_string())]);
    for session in sessions {
        // After `su` the variable still names the former user's.
        if is_owned(&session, around.user) {
            return session.join("primer");
        }
    }
    around.temporary.join(format!("primer-{}", around.user))
}

fn is_owned(path: &Path, user: u32) -> bool {
    fs::metadata(path).is_ok_and(|found| found.is_dir() && found.uid() == user)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::private::Scratch;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn around(scratch: &Scratch) -> Surroundings {
        Surroundings {
            chosen: None,
            session: None,
            users: scratch.path().join("users"),
            temporary: scratch.path().into(),
            user: private::user(),
        }
    }

    #[test]
    fn the_first_place_that_is_this_users_own_is_chosen() {
        let scratch = Scratch::new();
        let mut around = around(&scratch);
        let user = around.user;
        let last = scratch.path().join(format!("primer-{user}"));
        assert_eq!(enter(&around).unwrap(), last);

        let own = scratch.path().join(format!("users/{user}"));
        private::directory(&own, Closed::ToAll).unwrap();
        assert_eq!(enter(&around).unwrap(), own.join("primer"));

        let session = scratch.path().join("session");
        around.session = Some(session.clone());
        assert_eq!(choose(&around), own.join("primer"), "it is not there");
        private::directory(&session, Closed::ToAll).unwrap();
        assert_eq!(enter(&around).unwrap(), session.join("primer"));
        // Any directory that belongs to somebody else.
        let other = Surroundings {
            user: user + 1,
            ..around.clone()
        };
        let theirs = scratch.path().join(format!("primer-{}", user + 1));
        assert_eq!(choose(&other), theirs);

        let chosen = scratch.path().join("chosen/here");
        around.chosen = Some(chosen.clone());
        assert_eq!(enter(&around).unwrap(), chosen);
        around.chosen = Some("here".into());
        assert_eq!(enter(&around).unwrap_err().number(), 101);
    }

    #[test]
    fn a_place_that_another_could_have_made_is_refused() {
        let scratch = Scratch::new();
        let around = around(&scratch);
        let place = choose(&around);
        let elsewhere = scratch.path().join("elsewhere");
        private::directory(&elsewhere, Closed::ToAll).unwrap();
        symlink(&elsewhere, &place).unwrap();
        assert_eq!(enter(&around).unwrap_err().number(), 101);
        fs::remove_file(&place).unwrap();
        fs::create_dir(&place).unwrap();
        for mode in [0o777, 0o711, 0o740] {
            fs::set_permissions(&place, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(enter(&around).unwrap_err().number(), 101, "{mode:o}");
        }
        fs::set_permissions(&place, fs::Permissions::from_mode(0o700)).unwrap();
        enter(&around).unwrap();
    }
}
