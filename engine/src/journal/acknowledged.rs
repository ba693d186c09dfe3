//! A refusal that was acknowledged: the next process does not send it again.
//!
//! It is a record of its own, since the call is often over by then and is not written any more.

use crate::core::Core;
use crate::sip::transaction::ServerHandle;

use super::{Kind, Pen};

/// Has the journal know that the ACK to this refusal came.
pub(crate) fn keep_acknowledged(core: &mut Core, refusal: ServerHandle) {
    if !core.config.journal {
        return;
    }
    let mut pen = Pen::plain();
    Kind::Acknowledged.begin(&mut pen);
    pen.put(&core.io.now.mono);
    pen.put(&refusal);
    core.io.journal.push_back(pen.out.into());
}
