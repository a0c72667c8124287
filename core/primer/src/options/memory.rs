//! The default memory budget: a gibibyte, or a quarter of what the control group allows if that is
//! less.

use std::fs;
use std::path::{Path, PathBuf};

use primer_proto::base::limits;

const ROOT: &str = "/sys/fs/cgroup";

/// The default of `memory_bytes_max`.
pub(super) fn budget() -> u64 {
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let smallest = files(&groups)
        .iter()
        .filter_map(|file| limit(&fs::read_to_string(file).ok()?))
        .min();
    share(smallest)
}

fn share(limit: Option<u64>) -> u64 {
    limit.map_or(limits::MEMORY_BYTES_MAX, |limit| {
        limits::MEMORY_BYTES_MAX.min(limit / 4)
    })
}

/// The number in a limit's file; none for "max".
fn limit(text: &str) -> Option<u64> {
    text.trim().parse().ok()
}

/// Every file that may hold a limit for this process: its own group's and those above it, of both
/// versions of control groups. Inside a container the own group's path may not exist: the root does.
fn files(groups: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for line in groups.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else {
            continue;
        };
        let (root, name) = if controllers.is_empty() {
            (PathBuf::from(ROOT), "memory.max")
        } else if controllers.split(',').any(|one| one == "memory") {
            (Path::new(ROOT).join("memory"), "memory.limit_in_bytes")
        } else {
            continue;
        };
        let own = Path::new(path.trim_start_matches('/'));
        files.extend(own.ancestors().map(|group| root.join(group).join(name)));
    }
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_control_group_makes_the_budget_small() {
        assert_eq!(share(None), limits::MEMORY_BYTES_MAX);
        assert_eq!(share(Some(u64::MAX)), limits::MEMORY_BYTES_MAX);
        assert_eq!(share(Some(400)), 100);
        assert_eq!(limit("max\n"), None);
        assert_eq!(limit("1048576\n"), Some(1 << 20));
    }

    #[test]
    fn limits_are_looked_for_from_the_own_group_to_the_root() {
        let shown = |groups: &str| -> Vec<String> {
            files(groups)
                .iter()
                .map(|file| file.display().to_string())
                .collect()
        };
        assert_eq!(
            shown("0::/a/b\n"),
            [
                "/sys/fs/cgroup/a/b/memory.max",
                "/sys/fs/cgroup/a/memory.max",
                "/sys/fs/cgroup/memory.max"
            ]
        );
        assert_eq!(
            shown("5:cpu:/x\n4:cpuset,memory:/\n"),
            ["/sys/fs/cgroup/memory/memory.limit_in_bytes"]
        );
        assert!(shown("nonsense").is_empty());
    }
}
