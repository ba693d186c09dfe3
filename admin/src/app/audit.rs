//! The audit log.

use tensou_store::{AuditEntry, AuditFilter, Page, Paged};

use super::App;
use super::auth::{Action, Area, Principal};
use super::refusal::Refusal;

impl App {
    /// Who changed what, newest first.
    ///
    /// # Errors
    /// The role does not include the log.
    pub async fn audit(
        &self,
        who: &Principal,
        filter: &AuditFilter,
        page: &Page,
    ) -> Result<Paged<AuditEntry>, Refusal> {
        who.demand(Action::Read, Area::Audit)?;
        Ok(self.store().audit(filter, page).await?)
    }
}
