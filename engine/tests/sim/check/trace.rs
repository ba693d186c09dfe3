//! No promise: tells the whole story on standard output, for whoever plays a seed again with
//! `TENSOU_SIM_TRACE=1`.

use std::net::SocketAddr;

use tensou_engine::media::{MediaCommand, MediaEvent};
use tensou_engine::{Cdr, Event};

use super::Check;
use crate::text::Msg;

pub(super) struct Trace(bool, u64);

impl Trace {
    pub(super) fn wanted() -> Trace {
        Trace(std::env::var_os("TENSOU_SIM_TRACE").is_some(), 0)
    }

    fn line(&self, now: u64, what: std::fmt::Arguments<'_>) {
        if self.0 {
            println!("{:>12.6} {what}", now as f64 / 1e6);
        }
    }

    fn message(&self, now: u64, way: &str, peer: SocketAddr, msg: &Msg) {
        if self.0 {
            let (method, id) = (msg.method(), msg.call_id());
            let (from, to) = (msg.caller_tag(), msg.to_tag().unwrap_or_default());
            let shown = super::views::token(msg);
            let start = &msg.start;
            println!(
                "{:>12.6} {way} {peer} {start} [{method} {}] {id} {from} {to} {shown} {}",
                now as f64 / 1e6,
                msg.cseq(),
                msg.branch()
            );
        }
    }
}

impl Check for Trace {
    fn engine_heard(&mut self, now: u64, from: SocketAddr, msg: &Msg) {
        self.message(now, "<-", from, msg);
    }

    fn engine_sent(&mut self, now: u64, to: SocketAddr, msg: &Msg) {
        self.message(now, "->", to, msg);
    }

    fn media(&mut self, now: u64, command: MediaCommand) {
        self.line(now, format_args!("{command:?}"));
    }

    fn media_said(&mut self, now: u64, event: MediaEvent) {
        self.line(now, format_args!("{event:?}"));
    }

    fn event(&mut self, now: u64, event: &Event) {
        self.line(now, format_args!("{event:?}"));
    }

    fn died(&mut self) {
        self.1 += 1;
        if self.0 {
            println!("             the engine dies for the {}. time", self.1);
        }
    }

    fn record(&mut self, now: u64, cdr: &Cdr) {
        self.line(now, format_args!("{cdr:?}"));
    }
}
