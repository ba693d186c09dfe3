//! Which rows a revision changed: what a node reads again when it follows a change.

use std::collections::BTreeSet;

use crate::error::StoreError;
use crate::sql::Tx;
use crate::store::revision;

/// Revisions whose rows are remembered. Who is further behind was away for long, or an import
/// came by; reading everything once is right then.
const KEPT: u64 = 1_000;
/// Rows read one by one; more are read faster as a whole.
const FEW: usize = 500;

/// What changed since some revision.
pub(crate) enum Since {
    /// These rows, by kind and id; some of them may be gone.
    Rows(BTreeSet<(String, String)>),
    /// More than is remembered.
    Everything,
}

/// Notes that `revision`, which this transaction makes, changes one row.
pub(crate) async fn note(
    tx: &mut Tx,
    revision: u64,
    kind: &str,
    id: &str,
) -> Result<(), StoreError> {
    let number = |revision: u64| i64::try_from(revision).unwrap_or(i64::MAX);
    let sql = "INSERT INTO changes (revision, kind, id) VALUES ($1, $2, $3)";
    tx.execute(sql, &[number(revision).into(), kind.into(), id.into()]).await?;
    let forgotten = number(revision.saturating_sub(KEPT));
    tx.execute("DELETE FROM changes WHERE revision <= $1", &[forgotten.into()]).await?;
    Ok(())
}

/// The revision that `tx` sees, and what changed after `known`.
pub(crate) async fn since(tx: &mut Tx, known: u64) -> Result<(u64, Since), StoreError> {
    let now = revision(tx).await?;
    let sql = format!(
        "SELECT revision, kind, id FROM changes WHERE revision > $1 ORDER BY revision LIMIT {}",
        FEW + 1
    );
    let Ok(from) = i64::try_from(known) else { return Ok((now, Since::Everything)) };
    let noted = tx.rows(sql, &[from.into()]).await?;
    let mut revisions = BTreeSet::new();
    let mut rows = BTreeSet::new();
    for row in &noted {
        revisions.insert(row.int(0)?.unsigned_abs());
        rows.insert((row.text(1)?, row.text(2)?));
    }
    let complete = now.checked_sub(known) == u64::try_from(revisions.len()).ok();
    let complete = complete && noted.len() <= FEW;
    Ok((now, if complete { Since::Rows(rows) } else { Since::Everything }))
}
