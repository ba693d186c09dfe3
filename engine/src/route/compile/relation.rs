//! The judgement of our relation to a trunk.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::id::Key;

use super::super::TrunkSpec;
use super::super::snapshot::TrunkIx;
use super::{Compiler, index};

/// A registration shorter than this is a flood at the registrar; a longer one than this outlives
/// its NAT binding and the registrar's own restart by a day.
const EXPIRES: std::ops::RangeInclusive<Duration> =
    Duration::from_secs(60)..=Duration::from_secs(86_400);

impl Compiler<'_> {
    /// Each trunk's relation by itself, and their accounts here against each other and against
    /// those of extensions: a user name is one party's. The accounts of enabled trunks.
    pub(super) fn relations(&mut self) -> BTreeMap<Key, TrunkIx> {
        let from = self.from;
        let mut enabled = BTreeMap::new();
        let mut accounts: BTreeMap<&str, &str> = BTreeMap::new();
        for (at, trunk) in index(&from.trunks) {
            self.registration(trunk);
            let Some(auth) = &trunk.relation.auth_in else { continue };
            let field = "auth_in.user";
            if let Some(other) = accounts.insert(&auth.user, &trunk.id) {
                let message = format!("{:?} is also the account of trunk {other:?}", auth.user);
                self.fault("trunk", &trunk.id, field, message);
            }
            if self.names.extensions.contains_key(&*auth.user) {
                let message = format!("{:?} is also an extension", auth.user);
                self.fault("trunk", &trunk.id, field, message);
            }
            if trunk.enabled {
                enabled.insert(Key::from(&*auth.user), TrunkIx(at));
            }
        }
        enabled
    }

    fn registration(&mut self, trunk: &TrunkSpec) {
        let Some(register) = &trunk.relation.register else { return };
        if register.aor_user(trunk.relation.auth.as_ref()).is_empty() {
            let message = "give the user of the address-of-record, here or in auth".to_owned();
            self.fault("trunk", &trunk.id, "register.user", message);
        }
        if register.registrar.is_none() && trunk.peers.is_empty() {
            let message = "give the registrar, or peers to register at".to_owned();
            self.fault("trunk", &trunk.id, "register.registrar", message);
        }
        if !EXPIRES.contains(&register.expires) {
            let (least, most) = (EXPIRES.start().as_secs(), EXPIRES.end().as_secs());
            let message = format!("{least} to {most} seconds");
            self.fault("trunk", &trunk.id, "register.expires_seconds", message);
        }
    }
}
