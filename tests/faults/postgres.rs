//! A PostgreSQL of the experiment's own.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::site::Site;

/// In the experiment's own network nobody else has it.
const PORT: u16 = 5432;

/// A cluster in the experiment's folder, running in the servers' network.
pub(crate) struct Postgres<'s> {
    site: &'s Site,
    bin: PathBuf,
    home: PathBuf,
}

impl<'s> Postgres<'s> {
    /// Makes an empty cluster and starts it.
    pub(crate) fn start(site: &'s Site) -> Result<Postgres<'s>> {
        let home = site.dir.join("postgres");
        std::fs::create_dir_all(&home)?;
        let postgres = Postgres { site, bin: binaries()?, home };
        let owned = Command::new("chown").arg("postgres").arg(&postgres.home).status()?;
        if !owned.success() {
            bail!("there is no user postgres");
        }
        let data = postgres.home.join("db");
        let data = data.to_str().context("a folder with a plain name")?;
        postgres.run("initdb", &["-D", data, "-U", "tensou", "-A", "trust", "-E", "UTF8", "-N"])?;
        postgres.resume()?;
        Ok(postgres)
    }

    pub(crate) fn url(&self) -> String {
        format!("postgres://tensou@127.0.0.1:{PORT}/postgres")
    }

    /// Stops at once, as a crash would.
    pub(crate) fn stop(&self) -> Result<()> {
        let data = self.home.join("db").display().to_string();
        self.run("pg_ctl", &["-D", &data, "-m", "immediate", "-w", "stop"])
    }

    /// Starts it again.
    pub(crate) fn resume(&self) -> Result<()> {
        let home = self.home.display();
        let data = format!("{home}/db");
        let options = format!("-h 127.0.0.1 -p {PORT} -k {home}");
        let log = format!("{home}/log");
        self.run("pg_ctl", &["-D", &data, "-w", "-l", &log, "-o", &options, "start"])
    }

    /// PostgreSQL refuses to run as root, so it runs as the user that its package made.
    fn run(&self, program: &str, arguments: &[&str]) -> Result<()> {
        let mut command = Command::new("setpriv");
        command
            .args(["--reuid=postgres", "--regid=postgres", "--clear-groups"])
            .arg(self.bin.join(program))
            .args(arguments)
            .current_dir(&self.home)
            .stdin(std::process::Stdio::null())
            .stdout(std::process::Stdio::null());
        let output = self.site.home.within(|| command.output()).context("setpriv")?;
        if !output.status.success() {
            bail!("{program}: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(())
    }
}

impl Drop for Postgres<'_> {
    fn drop(&mut self) {
        // It may be stopped already.
        let _ = self.stop();
    }
}

/// The newest version that is installed.
fn binaries() -> Result<PathBuf> {
    let root = Path::new("/usr/lib/postgresql");
    let entries = std::fs::read_dir(root).context("PostgreSQL is missing")?;
    let version = |path: &PathBuf| -> u32 {
        let name = path.file_name().and_then(|name| name.to_str());
        name.and_then(|name| name.parse().ok()).unwrap_or_default()
    };
    let newest = entries.filter_map(|entry| Some(entry.ok()?.path())).max_by_key(version);
    Ok(newest.context("PostgreSQL is missing")?.join("bin"))
}
