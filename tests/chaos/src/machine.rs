//! What the machine does meanwhile: its load, and the processor time of processes.

use std::time::Duration;

use primer_cluster::{Outcome, text};

/// A second in the units of `/proc`: `USER_HZ`, 100 wherever Linux has it in its interface.
const TICKS: f64 = 100.0;
/// In `/proc/PID/stat` behind the name: time in user code, then in the kernel.
const USER_FIELD: usize = 11;

/// The load average of the last minute, as the system tells it.
#[must_use]
pub fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or("unknown").into()
}

/// Processor time that a process has used so far, all its threads together.
pub fn used_by(pid: u32) -> Outcome<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).map_err(text)?;
    of_stat(&stat).ok_or(format!("what is this of process {pid}: {stat}"))
}

fn of_stat(stat: &str) -> Option<Duration> {
    // The name in parentheses may hold anything.
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut fields = rest.split(' ').skip(USER_FIELD);
    let mut ticks = || fields.next()?.parse::<u64>().ok();
    let all = ticks()? + ticks()?;
    Some(Duration::from_secs_f64(all as f64 / TICKS))
}

/// Processor time that the whole machine has used so far, all cores together.
pub fn used_by_all() -> Outcome<Duration> {
    let stat = std::fs::read_to_string("/proc/stat").map_err(text)?;
    let line = stat.lines().next().unwrap_or_default();
    of_machine(line).ok_or(format!("what is this of the machine: {line}"))
}

fn of_machine(line: &str) -> Option<Duration> {
    let fields: Vec<u64> = line
        .strip_prefix("cpu ")?
        .split_whitespace()
        .map_while(|field| field.parse().ok())
        .collect();
    // user, nice, system, idle, iowait, irq, softirq, steal; guests are in user already.
    let busy = |(at, _): &(usize, &u64)| !matches!(at, 3 | 4) && *at < 8;
    let ticks: u64 = fields.iter().enumerate().filter(busy).map(|(_, n)| n).sum();
    (fields.len() >= 8).then(|| Duration::from_secs_f64(ticks as f64 / TICKS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_read_behind_any_name() {
        let stat = "7 (a b) c) S 1 7 7 0 -1 4194304 9 0 0 0 150 50 0 0 20 0 3 0 1";
        assert_eq!(of_stat(stat), Some(Duration::from_secs(2)));
        assert_eq!(of_stat("7 (a) S 1"), None);
        let line = "cpu  100 0 50 900 9 1 49 0 5 0";
        assert_eq!(of_machine(line), Some(Duration::from_secs(2)));
        assert_eq!(of_machine("cpu0 1 2"), None);
    }
}
