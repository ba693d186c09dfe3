//! A refusal that was acknowledged: the next process does not send it again.
//!
//! It is a record of its own, since the call is often over by then and is not written any more.

use crate::core::Core;
use crate::sip::transaction::ServerHandle;

use super::{Kind, Names};

/// Has the journal know that the ACK to this refusal came.
pub(crate) fn keep_acknowledged(core: &mut Core, refusal: ServerHandle) {
    if !core.config.journal {
        return;
    }
    let mut pen = core.io.pen();
    Kind::Acknowledged.begin(&mut pen);
    pen.put(&core.io.now.mono, &Names::default());
    pen.put(&refusal, &Names::default());
    core.io.keep(pen);
}
