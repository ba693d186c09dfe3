//! Where a measurement was made: a figure without machine, commit and time says nothing.

use std::process::Command;

use serde::Serialize;

/// The circumstances of a run.
#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    /// RFC 3339, UTC.
    pub when: String,
    /// Of the sources, and whether they were changed.
    pub commit: String,
    /// Model of the processor.
    pub cpu: String,
    /// Cores that this process may use.
    pub cores: usize,
    /// Memory, GiB.
    pub memory_gib: u64,
    /// Release of the kernel.
    pub kernel: String,
    /// Version of SIPp.
    pub sipp: String,
}

impl Machine {
    /// Here and now.
    pub fn here() -> Machine {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let field = |text: &str, key: &str| {
            let line = text.lines().find(|line| line.starts_with(key)).unwrap_or_default();
            line.split_once(':').map(|(_, value)| value.trim().to_owned()).unwrap_or_default()
        };
        let memory = field(&read("/proc/meminfo"), "MemTotal");
        let kilobytes: u64 =
            memory.split(' ').next().and_then(|number| number.parse().ok()).unwrap_or_default();
        let dirty = !run("git", &["status", "--porcelain", "--untracked-files=no"]).is_empty();
        let commit = run("git", &["rev-parse", "--short=12", "HEAD"]);
        let now = std::time::SystemTime::now();
        let since = now.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Machine {
            when: utc(since.as_secs()),
            commit: if dirty { format!("{commit} with local changes") } else { commit },
            cpu: field(&read("/proc/cpuinfo"), "model name"),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            memory_gib: kilobytes >> 20,
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            sipp: sipp_version(),
        }
    }

    /// For file names: `20261123-141500`.
    pub fn stamp(&self) -> String {
        self.when.chars().filter(char::is_ascii_digit).take(14).collect::<String>()
    }

    /// For people.
    pub fn sentence(&self) -> String {
        format!(
            "{}; commit {}; {} × {}, {} GiB, Linux {}; {}. Server, load generators and their \
             sockets share the machine and its loopback interface.",
            self.when, self.commit, self.cores, self.cpu, self.memory_gib, self.kernel, self.sipp
        )
    }
}

fn sipp_version() -> String {
    let text = run("sipp", &["-v"]);
    text.lines().find(|line| line.contains("SIPp v")).unwrap_or("SIPp").trim().to_owned()
}

fn run(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).output();
    output.map(|o| String::from_utf8_lossy(&o.stdout).trim().to_owned()).unwrap_or_default()
}

/// RFC 3339 in UTC, from seconds since 1970: days to a civil date by the count of days from
/// 0000-03-01, so that the leap day ends a year.
fn utc(seconds: u64) -> String {
    let days = seconds / 86_400 + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let of_day = seconds % 86_400;
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::utc;

    #[test]
    fn seconds_become_a_date() {
        assert_eq!(utc(0), "1970-01-01T00:00:00Z");
        assert_eq!(utc(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(utc(1_795_443_131), "2026-11-23T14:12:11Z");
    }
}
