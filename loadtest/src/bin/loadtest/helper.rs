//! Programs of others that stand beside a server or a SIPp for a while.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

/// A running program with everything it started. Dropping it ends them.
pub(crate) struct Helper {
    child: Child,
}

impl Helper {
    /// `name` is of the log in `dir`.
    pub(crate) fn start(mut command: Command, dir: &Path, name: &str) -> Result<Helper> {
        let program = command.get_program().to_string_lossy().into_owned();
        let log = File::create(dir.join(format!("{name}.log")))?;
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).process_group(0);
        let child = command.spawn().with_context(|| format!("{program} (see ./test install)"))?;
        Ok(Helper { child })
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        // One that has ended by itself needs no signal, and its number may be another's.
        if let (Ok(None), Ok(group)) = (self.child.try_wait(), i32::try_from(self.child.id())) {
            let _ = killpg(Pid::from_raw(group), Signal::SIGTERM);
            let _ = self.child.wait();
        }
    }
}

/// A certificate that stands for itself, and its key.
#[derive(Clone, Debug)]
pub(crate) struct Certificate {
    pub(crate) file: PathBuf,
    pub(crate) key: PathBuf,
}

impl Certificate {
    /// For these addresses, made by OpenSSL.
    pub(crate) fn make(dir: &Path, addresses: &[String]) -> Result<Certificate> {
        let (file, key, asked) =
            (dir.join("tls.crt"), dir.join("tls.key"), dir.join("certificate.cnf"));
        let names: Vec<String> = addresses.iter().map(|ip| format!("IP:{ip}")).collect();
        std::fs::write(
            &asked,
            format!(
                "[req]\ndistinguished_name = name\nx509_extensions = own\nprompt = no\n\
                 [name]\nCN = loadtest\n\
                 [own]\nbasicConstraints = critical,CA:FALSE\nsubjectAltName = {}\n",
                names.join(",")
            ),
        )?;
        let mut command = Command::new("openssl");
        command.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]);
        command.args(["-nodes", "-days", "2", "-config"]).arg(&asked);
        command.arg("-keyout").arg(&key).arg("-out").arg(&file);
        let made = command.output().context("openssl (see ./test install)")?;
        if !made.status.success() {
            bail!("openssl: {}", String::from_utf8_lossy(&made.stderr).trim());
        }
        Ok(Certificate { file, key })
    }
}
