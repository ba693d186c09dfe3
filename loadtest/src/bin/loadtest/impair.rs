//! `loadtest impair`: a bad network between two network namespaces.

use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;
use tensou_loadtest::impair::{Link, Namespace, Side, Weather};

use crate::seconds;

/// `loadtest impair`
#[derive(Args, Debug)]
pub(crate) struct ImpairArgs {
    /// One end: a namespace of `ip netns add` and its address there, NAME=ADDRESS
    #[arg(long, value_parser = end, value_name = "END")]
    a: (String, Ipv4Addr),
    /// The other end, in the same /24
    #[arg(long, value_parser = end, value_name = "END")]
    b: (String, Ipv4Addr),
    /// Packets lost, percent
    #[arg(long, default_value_t = 0.0)]
    loss: f64,
    /// Mean number of packets lost in a row
    #[arg(long, default_value_t = 1.0)]
    burst: f64,
    /// Packets that come twice, percent
    #[arg(long, default_value_t = 0.0)]
    duplicate: f64,
    /// Packets that later ones overtake, percent
    #[arg(long, default_value_t = 0.0)]
    reorder: f64,
    /// Packets in which a bit is flipped, percent
    #[arg(long, default_value_t = 0.0)]
    corrupt: f64,
    /// How long every packet is under way
    #[arg(long, default_value = "0", value_parser = seconds, value_name = "SECONDS")]
    delay: Duration,
    /// How much longer or shorter at most
    #[arg(long, default_value = "0", value_parser = seconds, value_name = "SECONDS")]
    jitter: Duration,
    /// A total outage: when it begins and how long it lasts, BEGIN:SECONDS
    #[arg(long, value_parser = outage, value_name = "OUTAGE")]
    cut: Option<(Duration, Duration)>,
    /// The same seed and the same packets meet the same fate
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How long the link stays up
    #[arg(long = "for", default_value = "60", value_parser = seconds, value_name = "SECONDS")]
    length: Duration,
}

fn end(text: &str) -> Result<(String, Ipv4Addr), String> {
    let (name, address) = text.split_once('=').ok_or("expected NAME=ADDRESS")?;
    let address = address.parse().map_err(|_| format!("{address} is no IPv4 address"))?;
    Ok((name.to_owned(), address))
}

fn outage(text: &str) -> Result<(Duration, Duration), String> {
    let (begin, length) = text.split_once(':').ok_or("expected BEGIN:SECONDS")?;
    Ok((seconds(begin)?, seconds(length)?))
}

/// Holds the link up for the time wanted, and prints what happened to the packets.
pub(crate) fn run(args: &ImpairArgs) -> Result<bool> {
    let weather = Weather {
        loss: args.loss / 100.0,
        burst: args.burst,
        duplicate: args.duplicate / 100.0,
        reorder: args.reorder / 100.0,
        corrupt: args.corrupt / 100.0,
        delay: args.delay,
        jitter: args.jitter,
        cut: false,
    };
    let namespace =
        |name: &str| Namespace::named(name).with_context(|| format!("namespace {name}"));
    let (one, other) = (namespace(&args.a.0)?, namespace(&args.b.0)?);
    let one = Side { namespace: &one, device: "impair", addresses: &[args.a.1] };
    let other = Side { namespace: &other, device: "impair", addresses: &[args.b.1] };
    let link = Link::start(&one, &other, args.seed).context("needs root and /dev/net/tun")?;
    link.set(weather);
    println!("up");
    let mut left = args.length;
    if let Some((begin, length)) = args.cut {
        let begin = begin.min(left);
        std::thread::sleep(begin);
        link.set(Weather { cut: true, ..weather });
        std::thread::sleep(length.min(left - begin));
        link.set(weather);
        left = left.saturating_sub(begin + length);
    }
    std::thread::sleep(left);
    println!("{}", serde_json::to_string_pretty(&link.stop()?)?);
    Ok(true)
}
