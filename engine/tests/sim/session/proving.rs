//! A caller that is asked for its password.

use super::Session;
use crate::phone::{Algorithm, proof};
use crate::text::Msg;
use crate::ua::Out;

impl Session {
    /// Answers the challenge to its INVITE, once: the next CSeq, another branch. True if so.
    pub(super) fn proves_itself(&mut self, refusal: &Msg, out: &mut Out<'_>) -> bool {
        let Some((user, secret)) = self.quirks.account.clone() else { return false };
        if self.wants_cancel || self.standing.first > 0 {
            return false;
        }
        self.cseq += 1;
        self.invite.set("CSeq", &format!("{} INVITE", self.cseq));
        let branch = format!("z9hG4bK{:016x}", out.rng.next());
        self.invite.set("Via", &format!("SIP/2.0/UDP {};branch={branch}", self.place));
        let line = proof(&self.invite, refusal, (user, &secret), Algorithm::Md5);
        self.invite.add("Authorization", &line);
        self.standing.first = self.clients.len();
        self.launch(self.invite.clone(), out);
        true
    }
}
