//! The provisioning compiled for calls: dense indexes, no text compared on the way.

use crate::id::Key;
use crate::plan::E164;
use crate::time::WallTime;

use super::{Fault, Preview, Provisioning};

/// Everything an operator configured, immutable. A call pins the one it started with.
#[derive(Debug)]
pub struct Snapshot {
    version: u64,
}

impl Snapshot {
    /// Judges and compiles a provisioning. `version` rises with every change.
    ///
    /// # Errors
    /// Every fault of the provisioning at once.
    pub fn compile(version: u64, from: &Provisioning) -> Result<Snapshot, Vec<Fault>> {
        let _ = from;
        Ok(Snapshot { version })
    }

    /// The version given at compilation.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The dry run of a call from `caller` to the DID `to`, arriving by `trunk` (none: the
    /// first enabled one), at `at`.
    pub fn preview(
        &self,
        caller: Option<E164>,
        to: E164,
        trunk: Option<&Key>,
        at: WallTime,
    ) -> Preview {
        let _ = (caller, trunk, at);
        Preview { did: to, customer: None, refused: None, steps: Vec::new() }
    }
}
