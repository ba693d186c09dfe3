//! What a process has used, from /proc.

use anyhow::{Context, Result};

/// CPU and memory of a process at one moment.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    /// User and system time of all its threads, µs.
    pub cpu_micros: u64,
    /// Proportional set size, kB.
    pub memory_kb: u64,
}

impl Usage {
    /// What a process has used until now.
    pub fn of(pid: u32) -> Result<Usage> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))
            .with_context(|| format!("process {pid} is gone"))?;
        let rollup = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
        Ok(Usage { cpu_micros: cpu_micros(&stat)?, memory_kb: memory_kb(&rollup)? })
    }
}

/// Fields 14 and 15 of proc(5) stat: clock ticks, which are 10 ms on every Linux there is.
fn cpu_micros(stat: &str) -> Result<u64> {
    // The name of the process is in brackets and may hold anything.
    let (_, fields) = stat.rsplit_once(") ").context("/proc/PID/stat")?;
    let mut fields = fields.split(' ').skip(11);
    let mut ticks = || -> Result<u64> { Ok(fields.next().context("/proc/PID/stat")?.parse()?) };
    Ok((ticks()? + ticks()?) * 10_000)
}

fn memory_kb(rollup: &str) -> Result<u64> {
    let line = rollup.lines().find(|line| line.starts_with("Pss:")).context("no Pss")?;
    let number = line.split_whitespace().nth(1).context("no Pss")?;
    Ok(number.parse()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_counted_behind_the_name_in_brackets() {
        let stat = "42 (a ) b) S 1 42 42 0 -1 4194304 1 0 0 0 150 50 0 0 20 0 1 0 9 1 1";
        assert_eq!(cpu_micros(stat).unwrap(), 2_000_000);
        assert_eq!(memory_kb("x\nPss:   1234 kB\n").unwrap(), 1234);
    }
}
