//! What a call holds of the provisioning, in the journal: by key, so that it is found again in
//! whatever is provisioned after a restart.

use std::sync::Arc;

use crate::id::Key;
use crate::journal::{Image, Names, Pen, Reader, image};
use crate::plan::E164;

use super::Strategy;
use super::snapshot::{Branch, Step, Target};

image!(enum Strategy { 0 = Simultaneous, 1 = Sequential });
image!(struct Branch { target, delay, ring });

impl Image for Target {
    fn write(&self, pen: &mut Pen, names: &Names<'_>) {
        let Some(snapshot) = names.snapshot else { return };
        let (kind, key) = match self {
            Target::Destination(at) => (0, &snapshot.destination(*at).key),
            Target::Extension(at) => (1, &snapshot.extension(*at).user),
            Target::Gone(key) => (0, key),
            Target::Number(number) => {
                pen.byte(2);
                return pen.put(number, names);
            }
        };
        pen.byte(kind);
        pen.put(key, names);
    }

    fn read(from: &mut Reader<'_>) -> Option<Self> {
        let kind = from.byte()?;
        if kind == 2 {
            return from.get::<E164>().map(Target::Number);
        }
        let key: Key = from.get()?;
        let snapshot = &from.core.as_ref()?.routing.snapshot;
        let found = match kind {
            0 => snapshot.destination_of_key(&key).map(Target::Destination),
            1 => snapshot.extension_of_user(key.as_str()).map(Target::Extension),
            _ => return None,
        };
        Some(found.unwrap_or(Target::Gone(key)))
    }
}

impl Image for Arc<[Step]> {
    fn write(&self, pen: &mut Pen, names: &Names<'_>) {
        pen.count(self.len());
        for Step { group, strategy, branches, .. } in &**self {
            pen.put(group, names);
            pen.put(strategy, names);
            pen.count(branches.len());
            for branch in branches {
                pen.put_one(branch, names);
            }
        }
    }

    fn read(from: &mut Reader<'_>) -> Option<Self> {
        let step = |from: &mut Reader<'_>| {
            let (group, strategy) = (from.get()?, from.get()?);
            let branches: Vec<Branch> = from.get()?;
            // The hunt knows which steps end by a decline.
            Some(Step { group, strategy, ends_on_decline: false, branches: branches.into() })
        };
        let count = from.number()?;
        (0..count).map(|_| step(from)).collect::<Option<Vec<_>>>().map(Arc::from)
    }
}
