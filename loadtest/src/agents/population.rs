//! The agents of a world: who they are, where they listen, whether they are registered.

use std::collections::BTreeMap;
use std::net::{SocketAddr, UdpSocket};

use nix::sys::epoll::{EpollEvent, EpollFlags};
use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::RcvBufForce;

use super::registration::{Account, Registration};
use super::script::{Behaviour, Report};
use super::world::World;

/// A server that is there again after a crash says hundreds of things at once.
const BUFFER: usize = 4 << 20;

/// A peer without registration: a simulated PRI gateway or carrier.
#[derive(Clone, Debug)]
pub struct Gateway {
    /// For reports.
    pub name: String,
    /// Where it listens; port 0 takes a free one.
    pub address: SocketAddr,
    /// Where its calls go.
    pub engine: SocketAddr,
    /// What it does with calls, by the number dialled in national form. Others get 404.
    pub takes: BTreeMap<String, Behaviour>,
}

/// A SIP phone that registers.
#[derive(Clone, Debug)]
pub struct Phone {
    /// User name of its account, also its name in reports.
    pub user: String,
    /// Password.
    pub password: String,
    /// Domain of its account: host or host:port.
    pub domain: String,
    /// Where it listens; port 0 takes a free one.
    pub address: SocketAddr,
    /// Registrar and outbound proxy.
    pub engine: SocketAddr,
    /// What it does with calls.
    pub behaviour: Behaviour,
}

/// An agent of a world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AgentId(pub(super) usize);

pub(super) struct Agent {
    pub(super) name: String,
    pub(super) socket: UdpSocket,
    pub(super) address: SocketAddr,
    pub(super) engine: SocketAddr,
    pub(super) takes: BTreeMap<String, Behaviour>,
    /// Behaviour of a phone, which takes every call.
    pub(super) always: Option<Behaviour>,
    pub(super) registration: Option<Registration>,
}

impl World {
    /// Adds a gateway or carrier.
    pub fn gateway(&mut self, gateway: Gateway) -> std::io::Result<AgentId> {
        let Gateway { name, address, engine, takes } = gateway;
        let (socket, address) = self.bind(address)?;
        self.agents.push(Agent {
            name,
            socket,
            address,
            engine,
            takes,
            always: None,
            registration: None,
        });
        Ok(AgentId(self.agents.len() - 1))
    }

    /// Adds a phone and starts its registration.
    pub fn phone(&mut self, phone: Phone) -> std::io::Result<AgentId> {
        let Phone { user, password, domain, address, engine, behaviour } = phone;
        let (socket, address) = self.bind(address)?;
        let tag = self.tag();
        let account = Account { user: user.clone(), password, domain };
        let mut registration = Registration::new(account, address, tag);
        let mut out = Vec::new();
        registration.register(&mut out);
        self.agents.push(Agent {
            name: user,
            socket,
            address,
            engine,
            takes: BTreeMap::new(),
            always: Some(behaviour),
            registration: Some(registration),
        });
        let index = self.agents.len() - 1;
        self.act_for_agent(index, out);
        Ok(AgentId(index))
    }

    /// Where an agent listens.
    pub fn address(&self, agent: AgentId) -> SocketAddr {
        self.agents[agent.0].address
    }

    /// Whether a phone is registered; a gateway always is.
    pub fn is_registered(&self, agent: AgentId) -> bool {
        self.agents[agent.0].registration.as_ref().is_none_or(Registration::is_in)
    }

    /// Phones whose registration failed, and why.
    pub fn failed_registrations(&self) -> Vec<String> {
        let failure = |agent: &Agent| {
            let why = agent.registration.as_ref()?.failure()?;
            Some(format!("{} could not register: {why}", agent.name))
        };
        self.agents.iter().filter_map(failure).collect()
    }

    /// Takes every registration back.
    pub fn unregister(&mut self) {
        for index in 0..self.agents.len() {
            let mut out = Vec::new();
            if let Some(registration) = &mut self.agents[index].registration {
                registration.leave(&mut out);
            }
            self.act_for_agent(index, out);
        }
    }

    /// No registration is left or under way.
    pub fn is_unregistered(&self) -> bool {
        self.agents.iter().all(|a| a.registration.as_ref().is_none_or(Registration::is_out))
    }

    /// Legs that are not over, of one agent or of all.
    pub fn active(&mut self, agent: Option<AgentId>) -> usize {
        self.legs
            .values_mut()
            .filter(|slot| agent.is_none_or(|id| id.0 == slot.agent))
            .filter_map(|slot| slot.leg.get().outcome().is_none().then_some(()))
            .count()
    }

    /// Legs that are over, since the last time this was asked.
    pub fn take_reports(&mut self) -> Vec<Report> {
        std::mem::take(&mut self.reports)
    }

    /// What arrived and belongs to no leg, or could not be read, since the last time.
    pub fn take_faults(&mut self) -> Vec<String> {
        std::mem::take(&mut self.faults)
    }

    fn bind(&mut self, address: SocketAddr) -> std::io::Result<(UdpSocket, SocketAddr)> {
        let socket = UdpSocket::bind(address)?;
        socket.set_nonblocking(true)?;
        // Without privileges the usual size has to do.
        let _ = setsockopt(&socket, RcvBufForce, &BUFFER);
        let key = self.agents.len() as u64;
        self.epoll.add(&socket, EpollEvent::new(EpollFlags::EPOLLIN, key))?;
        let address = socket.local_addr()?;
        Ok((socket, address))
    }
}
