//! A folder of its own for each test, and the program in it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// How long anything may take that takes milliseconds on an idle machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A folder that goes with the test.
pub(crate) struct Bench(PathBuf);

/// What a finished command said.
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        Said {
            code: output.status.code(),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl Bench {
    pub(crate) fn new() -> Bench {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("tensou-program-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).expect("a new folder");
        Bench(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.0.join(name), text).expect("a writable folder");
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tensou"));
        command.args(arguments).current_dir(&self.0).stdin(Stdio::null());
        command
    }

    /// Runs the program to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Said {
        self.command(arguments).output().expect("the program starts").into()
    }

    /// Starts `tensou serve` with ports of its own choice.
    pub(crate) fn serve(&self) -> Server {
        self.write(
            "tensou.toml",
            "[node]\nname = \"t\"\ndrain_seconds = 1\n[sip]\nlisten = \"udp:127.0.0.1:0\"\n\
             [media]\nlisten = \"127.0.0.1\"\nworkers = 1\n[admin]\nlisten = \"127.0.0.1:0\"\n",
        );
        self.serve_as_set()
    }

    /// Starts `tensou serve` with the settings that are there.
    pub(crate) fn serve_as_set(&self) -> Server {
        let mut child = self
            .command(&["serve"])
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .expect("the program starts");
        let mut out = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut greeting = String::new();
        out.read_line(&mut greeting).expect("a greeting");
        let address =
            greeting.trim().strip_prefix("Web UI: http://").map(|it| it.trim_matches('/'));
        let admin = address.and_then(|address| address.parse().ok());
        let admin = admin.expect("a greeting with the address; what went wrong is logged above");
        Server { child, out, admin }
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _kept = std::fs::remove_dir_all(&self.0);
    }
}

/// A running `tensou serve`.
pub(crate) struct Server {
    child: Child,
    out: BufReader<std::process::ChildStdout>,
    pub(crate) admin: SocketAddr,
}

impl Server {
    /// Status and body of a GET.
    pub(crate) fn get(&self, path: &str, token: &str) -> (u16, String) {
        self.send("GET", path, token, "")
    }

    /// Status and body of a request with a JSON body, if any.
    pub(crate) fn send(&self, method: &str, path: &str, token: &str, body: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.admin).expect("the web server listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {token}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\
             Connection: close\r\n\r\n{body}",
            self.admin,
            body.len()
        )
        .expect("a request");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        let status = answer.split(' ').nth(1).and_then(|code| code.parse().ok());
        let body = answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned());
        (status.expect("a status"), body.unwrap_or_default())
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).expect("a process id"));
        kill(pid, signal).expect("the process is there");
    }

    /// Waits for the end; the exit code and what it said after its greeting. Its log goes where
    /// the test's own output goes.
    pub(crate) fn end(mut self) -> (Option<i32>, String) {
        let begun = Instant::now();
        while self.child.try_wait().expect("a child").is_none() {
            assert!(begun.elapsed() < PATIENCE, "it does not end");
            std::thread::sleep(Duration::from_millis(20));
        }
        let mut out = String::new();
        self.out.read_to_string(&mut out).expect("its output");
        let code = self.child.wait().expect("a child").code();
        (code, out)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ended = self.child.kill();
    }
}

/// Asks until `wanted` says yes; how long it took.
pub(crate) fn until(mut wanted: impl FnMut() -> bool) -> Duration {
    let begun = Instant::now();
    while !wanted() {
        assert!(begun.elapsed() < PATIENCE, "it does not happen");
        std::thread::sleep(Duration::from_millis(20));
    }
    begun.elapsed()
}
