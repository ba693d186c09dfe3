//! A BYE that no call waits for: to a phone behind a fork that answered too late. It would stop
//! resending its 2xx at our ACK and talk to nobody, so its BYE outlives the process by itself.

use crate::core::Core;
use crate::sip::transaction::timers::F;
use crate::sip::transaction::{ClientHandle, get_client, put_client};

use super::ledger::Kept;
use super::{Kind, Names};

/// Has this BYE go on after a restart, until it is given up.
pub(crate) fn keep_farewell(core: &mut Core, bye: ClientHandle) {
    if !core.config.journal {
        return;
    }
    let mut pen = core.io.pen();
    let names = &Names { core: Some(core), ..Names::default() };
    Kind::Farewell.begin(&mut pen);
    pen.put(&core.io.now, names);
    pen.put(&(core.io.now.mono + F), names);
    pen.framed(|pen| put_client(bye, pen, names));
    core.io.keep(pen);
}

/// Takes up what [`keep_farewell`] has written; false when it cannot be read.
pub(crate) fn bring_farewell_back(core: &mut Core, bye: &Kept) -> bool {
    get_client(&mut bye.reader(Some(core))).is_some()
}
