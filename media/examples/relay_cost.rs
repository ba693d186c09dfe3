//! What the relay spends on a packet beside a bare forwarder, taken in turns on the same machine.
//!
//! `cargo run --release -p tensou-media --example relay_cost -- [CALLS…]`, by default 200 and
//! 1,000 calls of 50 packets/s each way. The bare forwarder is one thread, one connected socket for
//! each side of a call, `recv` and `send`: it knows no call, no phone and no counter. Both run as
//! processes of their own, on loopback; their CPU time is the kernel's, to the nanosecond.

use std::error::Error;
use std::io::{BufRead, BufReader};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs};

use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::socket::{setsockopt, sockopt};
use tensou_media::io::{Relay, RelayConfig};
use tensou_media::{Latch, PortPair, Remote, SessionId, Side};

type Outcome<T> = Result<T, Box<dyn Error>>;

const HOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// Where all callers, and all callees, have their phones: calls differ by the relay's ports.
const PHONES: [u16; 2] = [9_000, 9_002];
/// The first port of each forwarder: below where the system's own choice of ports begins.
const FORWARDERS: [(&str, u16); 2] = [("bare", 10_000), ("relay", 20_000)];
const MOST_CALLS: u16 = 2_400;

/// Turns of each forwarder, and how long one is.
const ROUNDS: usize = 9;
const TURN: Duration = Duration::from_secs(2);
/// Phones are not in step: each packet interval of 20 ms is cut into so many.
const SLOTS: u32 = 40;
const SLOT: Duration = Duration::from_micros(500);

fn main() -> Outcome<()> {
    let arguments: Vec<_> = env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["bare", calls] => bare(calls.parse()?),
        ["relay", calls] => relay(calls.parse()?),
        [] => compare(&[200, 1_000]),
        _ => compare(&arguments.iter().map(|calls| calls.parse()).collect::<Result<Vec<_>, _>>()?),
    }
}

/// One line for each number of calls: medians over the rounds.
fn compare(counts: &[u16]) -> Outcome<()> {
    println!("calls   bare µs  relay µs  ratio   bare p99 ms  relay p99 ms   lost");
    for &calls in counts {
        if !(1..=MOST_CALLS).contains(&calls) {
            return Err(format!("{calls}: give 1 to {MOST_CALLS} calls").into());
        }
        let processes = [Process::start("bare", calls)?, Process::start("relay", calls)?];
        let phones = Phones::new()?;
        let mut turns = [Vec::new(), Vec::new()];
        for round in 0..2 * ROUNDS {
            // Neither always follows the other.
            let which = (round + round / 2) % 2;
            turns[which].push(phones.talk(calls, FORWARDERS[which].1, &processes[which])?);
        }
        let [bare, relay] = &turns;
        let ratio = bare.iter().zip(relay).map(|(bare, relay)| relay.cost / bare.cost);
        let median_of = |turns: &[Turn], figure: fn(&Turn) -> f64| median(turns.iter().map(figure));
        println!(
            "{calls:5} {:9.2} {:9.2} {:6.2} {:13.2} {:13.2} {:6}",
            median_of(bare, |turn| turn.cost),
            median_of(relay, |turn| turn.cost),
            median(ratio),
            median_of(bare, |turn| turn.p99_ms),
            median_of(relay, |turn| turn.p99_ms),
            bare.iter().chain(relay).map(|turn| turn.lost).sum::<u64>(),
        );
    }
    Ok(())
}

fn median(figures: impl Iterator<Item = f64>) -> f64 {
    let mut figures: Vec<_> = figures.collect();
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}

/// A forwarder in a process of its own.
struct Process(Child);

impl Process {
    /// Once it says that it is ready.
    fn start(what: &str, calls: u16) -> Outcome<Process> {
        let mut command = Command::new(env::current_exe()?);
        let arguments = [what, &calls.to_string()];
        let mut process = Process(command.args(arguments).stdout(Stdio::piped()).spawn()?);
        let output = process.0.stdout.take().ok_or("no output")?;
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        if line.is_empty() { Err(format!("{what} did not start").into()) } else { Ok(process) }
    }

    /// What all its threads have run for, in microseconds.
    fn cpu_us(&self) -> Outcome<f64> {
        let mut nanos = 0_u64;
        for thread in fs::read_dir(format!("/proc/{}/task", self.0.id()))? {
            let times = fs::read_to_string(thread?.path().join("schedstat"))?;
            nanos += times.split_whitespace().next().ok_or("no schedstat")?.parse::<u64>()?;
        }
        Ok(nanos as f64 / 1_000.0)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What one turn showed.
struct Turn {
    /// CPU microseconds of the forwarder for a packet that arrived.
    cost: f64,
    p99_ms: f64,
    lost: u64,
}

/// Both phones of every call.
struct Phones {
    sides: [UdpSocket; 2],
    epoch: Instant,
}

impl Phones {
    fn new() -> Outcome<Phones> {
        let phone = |port| -> Outcome<UdpSocket> {
            let socket = UdpSocket::bind((HOST, port))?;
            socket.set_nonblocking(true)?;
            setsockopt(&socket, sockopt::RcvBuf, &(4 << 20))?;
            Ok(socket)
        };
        Ok(Phones { sides: [phone(PHONES[0])?, phone(PHONES[1])?], epoch: Instant::now() })
    }

    /// All calls talk through the forwarder for a turn.
    fn talk(&self, calls: u16, first_port: u16, forwarder: &Process) -> Outcome<Turn> {
        let began = self.epoch.elapsed();
        let slots = (TURN.as_micros() / SLOT.as_micros()) as u32;
        let mut delays_us = Vec::with_capacity(usize::from(calls) * 2 * (slots / SLOTS) as usize);
        let cpu_before = forwarder.cpu_us()?;
        let mut sent = 0;
        for slot in 0..slots {
            self.listen(began, began + SLOT * slot, &mut delays_us)?;
            for stream in ((slot % SLOTS) as u16..calls * 2).step_by(SLOTS as usize) {
                let packet = self.packet(stream, slot / SLOTS);
                let side = &self.sides[usize::from(stream % 2)];
                side.send_to(&packet, (HOST, first_port + stream * 2))?;
                sent += 1;
            }
        }
        self.listen(began, began + TURN + Duration::from_millis(200), &mut delays_us)?;
        let cpu = forwarder.cpu_us()? - cpu_before;
        delays_us.sort_unstable();
        let heard = delays_us.len();
        let p99_us = delays_us.get(heard * 99 / 100).copied().ok_or("nothing was heard")?;
        Ok(Turn {
            cost: cpu / heard as f64,
            p99_ms: f64::from(p99_us) / 1_000.0,
            lost: sent - heard as u64,
        })
    }

    /// A packet of speech with the time in it.
    fn packet(&self, stream: u16, number: u32) -> [u8; 172] {
        let mut packet = [0x55; 172];
        packet[..2].copy_from_slice(&[0x80, 0]);
        packet[2..4].copy_from_slice(&(number as u16).to_be_bytes());
        packet[4..8].copy_from_slice(&(number * 160).to_be_bytes());
        packet[8..12].copy_from_slice(&u32::from(stream).to_be_bytes());
        packet[12..20].copy_from_slice(&(self.epoch.elapsed().as_micros() as u64).to_be_bytes());
        packet
    }

    /// Takes what arrives until `until`; what was sent before this turn `began` is not counted.
    fn listen(&self, began: Duration, until: Duration, delays_us: &mut Vec<u32>) -> Outcome<()> {
        loop {
            for side in &self.sides {
                let mut packet = [0; 172];
                while side.recv(&mut packet).is_ok() {
                    let mut sent_us = [0; 8];
                    sent_us.copy_from_slice(&packet[12..20]);
                    let sent = Duration::from_micros(u64::from_be_bytes(sent_us));
                    if sent >= began {
                        delays_us.push((self.epoch.elapsed() - sent).as_micros() as u32);
                    }
                }
            }
            let Some(left) = until.checked_sub(self.epoch.elapsed()) else { return Ok(()) };
            let mut sides = [0, 1].map(|n| PollFd::new(self.sides[n].as_fd(), PollFlags::POLLIN));
            ppoll(&mut sides, Some(left.into()), None)?;
        }
    }
}

/// Relays as the product does, with its own choice of workers.
fn relay(calls: u16) -> Outcome<()> {
    let first = FORWARDERS[1].1;
    let mut relay = Relay::start(RelayConfig {
        listen: HOST,
        ports: first..=first + calls * 4 - 1,
        workers: 0,
        dscp: 46,
        idle_timeout: Duration::from_secs(60),
    })?;
    for call in 0..calls {
        let session = SessionId(u64::from(call));
        let pair = |nth| PortPair::new(first + call * 4 + nth).ok_or("relay ports are even");
        relay.open(session, pair(0)?, pair(2)?)?;
        for (side, port) in [Side::A, Side::B].into_iter().zip(PHONES) {
            let [rtp, rtcp] = [port, port + 1].map(|port| SocketAddr::new(HOST, port));
            let remote = Remote { rtp, rtcp, latch: Latch::Signalled, sends: true };
            relay.command(tensou_media::Command::SetRemote { session, side, remote });
        }
    }
    println!("ready");
    loop {
        std::thread::park();
    }
}

/// Forwards each datagram to the other side of its call.
fn bare(calls: u16) -> Outcome<()> {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, most, most)?;
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
    let mut sockets = Vec::new();
    for stream in 0..calls * 2 {
        let socket = UdpSocket::bind((HOST, FORWARDERS[0].1 + stream * 2))?;
        socket.connect((HOST, PHONES[usize::from(stream % 2)]))?;
        socket.set_nonblocking(true)?;
        epoll.add(&socket, EpollEvent::new(EpollFlags::EPOLLIN, u64::from(stream)))?;
        sockets.push(socket);
    }
    println!("ready");
    let mut events = [EpollEvent::empty(); 512];
    let mut buffer = [0; 2048];
    loop {
        let found = epoll.wait(&mut events, EpollTimeout::NONE)?;
        for event in &events[..found] {
            let stream = event.data() as usize;
            if let Ok(length) = sockets[stream].recv(&mut buffer) {
                let _ = sockets[stream ^ 1].send(&buffer[..length]);
            }
        }
    }
}
