//! An orderly upgrade (SIGUSR2): the next process goes on with the connections of the one before.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tensou_loadtest::manager::Manager;

use crate::bench::{Bench, PATIENCE, until};

/// The exit code of a process that has handed over.
const HANDED_OVER: i32 = 4;
const VOICE: &str = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
                     m=audio 40000 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n";

/// A server whose sockets a service manager keeps.
struct Service {
    bench: Bench,
    manager: Manager,
    child: Child,
    sip: SocketAddr,
}

impl Service {
    /// With one DID that rings the phone at `phone`; the gateway is whoever comes from 127.0.0.1.
    fn start(phone: SocketAddr) -> Service {
        let bench = Bench::new();
        // The next process has to find the same places free, beside other tests.
        static NEXT: AtomicU32 = AtomicU32::new(10);
        let (process, test) = (std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let ip = format!("127.{test}.{}.{}", process >> 8 & 0xff, process & 0xff);
        let sip: SocketAddr = format!("{ip}:5060").parse().expect("an address");
        bench.write(
            "tensou.toml",
            &format!(
                "[node]\nname = \"t\"\ndrain_seconds = 1\n[sip]\nlisten = [\"udp:{sip}\", \
                 \"tcp:{sip}\"]\n[media]\nlisten = \"{ip}\"\nworkers = 1\n[admin]\nlisten = \
                 \"{ip}:8080\"\n"
            ),
        );
        bench.write(
            "operator.toml",
            &format!(
                "[[trunks]]\nid = \"gateway\"\npeers = [\"{GATEWAY}\"]\nsources = \
                 [\"127.0.0.1/32\"]\nnumber_format_in = \"national\"\n[[customers]]\nid = \
                 \"yamada\"\nname = \"Yamada\"\n[[destinations]]\nid = \"desk\"\ncustomer = \
                 \"yamada\"\nuri = \"sip:desk@{phone}\"\n[[dids]]\nnumber = \"03-1200-0001\"\n\
                 customer = \"yamada\"\nroute = [{{ ring = \"destination:desk\" }}]\n"
            ),
        );
        let imported = bench.run(&["import", "operator.toml"]);
        assert_eq!(imported.code, Some(0), "{}", imported.err);
        let manager = Manager::new(bench.path()).expect("a manager");
        let child = begin(&bench, &manager);
        let mut service = Service { bench, manager, child, sip };
        service.serves();
        service
    }

    fn serves(&mut self) {
        let admin = SocketAddr::new(self.sip.ip(), 8080);
        until(|| {
            self.manager.attend().expect("its messages");
            let Ok(mut stream) = TcpStream::connect(admin) else { return false };
            let mut answer = String::new();
            write!(stream, "GET /readyz HTTP/1.0\r\n\r\n").expect("a request");
            stream.read_to_string(&mut answer).is_ok_and(|_| answer.contains(" 200 "))
        });
    }

    fn signal(&mut self, signal: Signal) -> Option<i32> {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).expect("a process id"));
        kill(pid, signal).expect("the process is there");
        let mut ended = None;
        until(|| {
            self.manager.attend().expect("its messages");
            ended = self.child.try_wait().expect("a child");
            ended.is_some()
        });
        self.manager.attend().expect("its messages");
        ended.and_then(|status| status.code())
    }

    fn start_next(&mut self) {
        self.child = begin(&self.bench, &self.manager);
        self.serves();
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ended = self.child.kill();
    }
}

fn begin(bench: &Bench, manager: &Manager) -> Child {
    let mut command: Command =
        manager.command(Path::new(env!("CARGO_BIN_EXE_tensou"))).expect("descriptors");
    command.arg("serve").current_dir(bench.path()).stdin(Stdio::null()).stdout(Stdio::null());
    command.spawn().expect("the program starts")
}

/// Where the gateway says that it listens, and does not: what is to reach it takes its connection.
const GATEWAY: &str = "127.0.0.1:5099";

/// A gateway's connection.
struct Line {
    stream: BufReader<TcpStream>,
    sip: SocketAddr,
}

impl Line {
    fn connect(sip: SocketAddr) -> Line {
        let stream = TcpStream::connect(sip).expect("the server listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        Line { stream: BufReader::new(stream), sip }
    }

    fn say(&mut self, message: &str) {
        self.stream.get_mut().write_all(message.as_bytes()).expect("the connection stands");
    }

    fn request(&mut self, method: &str, uri: &str, (tag, cseq): (&str, &str), body: &str) {
        let (own, sip) = (GATEWAY, self.sip);
        let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        let message = format!(
            "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/TCP {own};branch=z9hG4bK{cseq}{method}\r\n\
             Max-Forwards: 70\r\nFrom: <sip:09011112222@{own}>;tag=g\r\n\
             To: <sip:0312000001@{sip}>{tag}\r\nCall-ID: upgrade@{own}\r\nCSeq: {cseq} {method}\r\n\
             Contact: <sip:gateway@{own};transport=tcp>\r\n{kind}Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        self.say(&message);
    }

    /// The next message with this in it.
    fn hears(&mut self, wanted: &str) -> String {
        loop {
            let message = self.next();
            if message.contains(wanted) {
                return message;
            }
        }
    }

    fn next(&mut self) -> String {
        let mut message = String::new();
        while !message.ends_with("\r\n\r\n") {
            let read = self.stream.read_line(&mut message).expect("a line");
            assert!(read > 0, "the server has ended the connection after {message:?}");
        }
        let length = header(&message, "Content-Length").and_then(|it| it.parse().ok()).unwrap_or(0);
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).expect("a body");
        message + &String::from_utf8_lossy(&body)
    }
}

/// The phone that is rung, by UDP.
struct Phone {
    socket: UdpSocket,
    own: SocketAddr,
}

impl Phone {
    fn new() -> Phone {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
        socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let own = socket.local_addr().expect("an address");
        Phone { socket, own }
    }

    /// The next message that begins so.
    fn hears(&self, wanted: &str) -> String {
        let mut buffer = [0; 4096];
        loop {
            let (length, _) = self.socket.recv_from(&mut buffer).expect("a message");
            let message = String::from_utf8_lossy(&buffer[..length]).into_owned();
            if message.starts_with(wanted) {
                return message;
            }
        }
    }

    fn answers(&self, invite: &str, status: &str, body: &str, to: SocketAddr) {
        let same: String = ["Via", "From", "Call-ID", "CSeq"]
            .iter()
            .filter_map(|name| Some(format!("{name}: {}\r\n", header(invite, name)?)))
            .collect();
        let callee = header(invite, "To").expect("To");
        let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        let answer = format!(
            "SIP/2.0 {status}\r\n{same}To: {callee};tag=d\r\nContact: <sip:desk@{}>\r\n{kind}\
             Content-Length: {}\r\n\r\n{body}",
            self.own,
            body.len()
        );
        self.socket.send_to(answer.as_bytes(), to).expect("the server is there");
    }

    /// Hangs up on whoever sent this INVITE.
    fn hangs_up(&self, invite: &str, to: SocketAddr) {
        let field = |name| header(invite, name).expect("a header");
        let target = field("Contact").trim_matches(['<', '>']);
        let bye = format!(
            "BYE {target} SIP/2.0\r\nVia: SIP/2.0/UDP {};branch=z9hG4bKbye\r\nMax-Forwards: 70\r\n\
             From: {};tag=d\r\nTo: {}\r\nCall-ID: {}\r\nCSeq: 1 BYE\r\nContent-Length: 0\r\n\r\n",
            self.own,
            field("To"),
            field("From"),
            field("Call-ID"),
        );
        self.socket.send_to(bye.as_bytes(), to).expect("the server is there");
    }
}

fn header<'m>(message: &'m str, name: &str) -> Option<&'m str> {
    let mut lines = message.lines().take_while(|line| !line.is_empty());
    lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

#[test]
fn a_call_that_rings_by_tcp_is_answered_and_hung_up_by_its_connection_after_an_upgrade() {
    let phone = Phone::new();
    let mut service = Service::start(phone.own);
    let sip = service.sip;
    let mut line = Line::connect(sip);
    line.request("INVITE", &format!("sip:0312000001@{sip}"), ("", "1"), VOICE);
    let invite = phone.hears("INVITE ");
    phone.answers(&invite, "180 Ringing", "", sip);
    line.hears("SIP/2.0 180 ");

    assert_eq!(service.signal(Signal::SIGUSR2), Some(HANDED_OVER));
    // No process runs: it waits.
    line.request("OPTIONS", &format!("sip:{sip}"), ("", "7"), "");
    service.start_next();
    line.hears("CSeq: 7 OPTIONS");

    phone.answers(&invite, "200 OK", VOICE, sip);
    phone.hears("ACK ");
    let answered = line.hears("SIP/2.0 200 OK");
    let to = header(&answered, "To").expect("To");
    let tag = to.find(";tag=").map(|at| &to[at..]).expect("a tag");
    line.request("ACK", &format!("sip:{sip};transport=tcp"), (tag, "1"), "");
    phone.hangs_up(&invite, sip);
    line.hears("BYE ");

    // Another upgrade finds it again.
    assert_eq!(service.signal(Signal::SIGUSR2), Some(HANDED_OVER));
    service.start_next();
    line.request("OPTIONS", &format!("sip:{sip}"), ("", "8"), "");
    line.hears("CSeq: 8 OPTIONS");
    assert_eq!(service.signal(Signal::SIGTERM), Some(0));
}

#[test]
fn every_request_by_tcp_is_answered_while_the_server_hands_over_again_and_again() {
    let mut service = Service::start("127.0.0.1:9".parse().expect("an address"));
    let sip = service.sip;
    let over = Arc::new(AtomicBool::new(false));
    let ends = Arc::clone(&over);
    let mut line = Line::connect(sip);
    let asking = std::thread::spawn(move || {
        let mut asked = 0;
        while !ends.load(Ordering::Relaxed) {
            asked += 1;
            line.request("OPTIONS", &format!("sip:{sip}"), ("", &asked.to_string()), "");
            let answer = line.next();
            assert!(answer.starts_with("SIP/2.0 200 "), "{answer}");
            assert!(answer.contains(&format!("CSeq: {asked} OPTIONS")), "{asked}: {answer}");
        }
        asked
    });
    for _ in 0..3 {
        assert_eq!(service.signal(Signal::SIGUSR2), Some(HANDED_OVER));
        service.start_next();
    }
    over.store(true, Ordering::Relaxed);
    let asked = asking.join().expect("every request is answered");
    assert!(asked > 3, "{asked} requests");
    assert_eq!(service.signal(Signal::SIGTERM), Some(0));
}
