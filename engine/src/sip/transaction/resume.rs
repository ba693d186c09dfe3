//! What was under way when the process ended goes on as the same.

use crate::io::Io;
use crate::sip::syntax::Message;
use crate::time::Timestamp;
use crate::timer::TimerKey;

use super::layer::{
    Client, ClientHandle, ClientMachine, ServerHandle, ServerMachine, Transactions,
};
use super::{Timer, invite_client, invite_server, non_invite_client, timers};

impl Transactions {
    /// Sends every request again that waits for an answer, and every last answer that waits for
    /// an ACK, byte for byte: nobody knows what of it had left, nor what came while nobody
    /// listened. Whoever has had it takes it for a copy (RFC 3261 17), and says again what it said
    /// before. By a stream nothing else would bring it there. A refusal has the time that it had:
    /// beyond timer H its peer may have forgotten it (17.1.1.2, timer D). What waits in a dialog
    /// that has ended is only waited for.
    pub(crate) fn take_up(&mut self, io: &mut Io) {
        let over = std::mem::take(&mut self.of_ended_dialogs);
        for at in &over {
            if let Some(client) = self.clients.get_mut(*at) {
                io.disarm(client.timers.take(Timer::A));
            }
        }
        let waits = |(at, client): &(ClientHandle, &Client)| client.waits() && !over.contains(at);
        let mut waiting: Vec<(u32, ClientHandle)> =
            self.clients.iter().filter(waits).map(|(at, client)| (client.seq(), at)).collect();
        // Within a dialog in their order, also to who has had none of them (RFC 3261 12.2.2).
        waiting.sort_by_key(|(seq, _)| *seq);
        for (_, at) in waiting {
            self.begin_again(io, at);
        }
        let servers: Vec<ServerHandle> = self.servers.iter().map(|(at, _)| at).collect();
        for at in servers {
            self.answer_again(io, at);
        }
    }

    /// An INVITE that was told to wait is told so again, and a refused one is refused again.
    fn answer_again(&mut self, io: &mut Io, at: ServerHandle) {
        let Some(server) = self.servers.get_mut(at) else { return };
        let ServerMachine::Invite(state) = server.machine else { return };
        let input = match state {
            invite_server::State::Proceeding => invite_server::Input::Invite,
            invite_server::State::Completed { .. } => {
                let end = server.timers.get(Timer::H).and_then(|id| io.wheel.get(id));
                io.disarm(server.timers.take(Timer::G));
                match end {
                    Some((end, _)) if end > io.now.mono && server.flow.is_reliable() => {
                        invite_server::Input::Invite
                    }
                    Some((end, _)) if end > io.now.mono => invite_server::Input::G,
                    Some(_) | None => invite_server::Input::H,
                }
            }
            invite_server::State::Confirmed
            | invite_server::State::Accepted
            | invite_server::State::Terminated => return,
        };
        self.drive_invite_server(io, at, input);
    }

    /// The ACK to this refusal came in the life before.
    pub(crate) fn was_acknowledged(&mut self, io: &mut Io, refusal: ServerHandle) {
        self.drive_invite_server(io, refusal, invite_server::Input::Ack);
    }

    /// Nobody listens in the dialog of this INVITE any more, so the next process does not send it
    /// again; what answers it is acknowledged.
    pub(crate) fn ended_with_its_dialog(&mut self, at: ClientHandle) {
        let client = self.clients.get(at);
        if client.is_some_and(|client| matches!(client.machine, ClientMachine::Invite(_))) {
            self.of_ended_dialogs.insert(at);
        }
    }

    fn begin_again(&mut self, io: &mut Io, at: ClientHandle) {
        let Some(client) = self.clients.get_mut(at) else { return };
        if let ClientMachine::Invite(_) = client.machine {
            // The journal does not follow an INVITE past its first 100: it may have been heard of
            // long ago, so it has its time anew.
            let start = invite_client::State::Calling { resend: timers::A };
            client.machine = ClientMachine::Invite(start);
            let reliable = client.flow.is_reliable();
            for (timer, after) in [(Timer::A, timers::A), (Timer::B, timers::B)] {
                io.disarm(client.timers.take(timer));
                if timer == Timer::B || !reliable {
                    let id = io.arm(after, TimerKey::Client(at.to_bits(), timer));
                    client.timers.set(timer, id);
                }
            }
        }
        if let Some(request) = client.request.clone() {
            io.retransmit(client.flow, request);
        }
    }

    /// Has a request that is no INVITE given up at `until`, where it would go on for longer.
    pub(crate) fn give_up_at(&mut self, io: &mut Io, at: ClientHandle, until: Timestamp) {
        let Some(client) = self.clients.get_mut(at) else { return };
        io.disarm(client.timers.take(Timer::F));
        let id = io.wheel.arm(until, TimerKey::Client(at.to_bits(), Timer::F));
        client.timers.set(Timer::F, id);
    }
}

impl Client {
    /// The CSeq number of its request.
    fn seq(&self) -> u32 {
        let request = self.request.as_deref().and_then(|it| Message::parse_datagram(it).ok());
        request.and_then(|msg| msg.cseq().ok().map(|cseq| cseq.number)).unwrap_or_default()
    }

    /// Its peer has not been heard of, or owes a final answer to a request that is no INVITE.
    fn waits(&self) -> bool {
        matches!(
            self.machine,
            ClientMachine::Invite(invite_client::State::Calling { .. })
                | ClientMachine::NonInvite(
                    non_invite_client::State::Trying { .. } | non_invite_client::State::Proceeding,
                )
        )
    }
}
