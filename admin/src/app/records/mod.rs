//! Call records: searching and showing them.

mod csv;
mod encode;
mod query;
mod view;

use tensou_store::model::CdrRecord;
use tensou_store::{CdrPage, Page};

use super::App;
use super::auth::{Action, Area, Principal};
use super::refusal::Refusal;

pub use csv::{COLUMNS, csv_header, csv_row, spreadsheet_number};
pub use encode::{CsvEncoding, Encoder};
pub use query::CdrQuery;
pub use view::{CdrLegView, CdrView, LegMediaView, MediaView};

impl App {
    /// Records that `who` sees, newest first.
    ///
    /// # Errors
    /// The role does not include records, or the query has faults.
    pub async fn cdrs(
        &self,
        who: &Principal,
        query: &CdrQuery,
        page: &Page,
    ) -> Result<CdrPage, Refusal> {
        who.demand(Action::Read, Area::Cdrs)?;
        let filter = query.filter(who.scope().clone(), self.clock()).map_err(Refusal::Invalid)?;
        Ok(self.store().cdrs(&filter, page).await?)
    }

    /// One record.
    ///
    /// # Errors
    /// There is none that `who` sees.
    pub async fn cdr(&self, who: &Principal, id: &str) -> Result<CdrRecord, Refusal> {
        who.demand(Action::Read, Area::Cdrs)?;
        self.store().cdr(id, who.scope()).await?.ok_or(Refusal::NotFound("call record"))
    }
}
