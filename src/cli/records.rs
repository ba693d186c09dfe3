//! `tensou cdr`

use std::io::Write;

use tensou_admin::app::Clock;
use tensou_admin::app::records::{CdrQuery, CdrView, csv_header, csv_row};
use tensou_store::{CdrFilter, MAX_PAGE, Page, Scope, Store};

use super::args::{CdrArgs, CdrFormat, SettingsArgs};
use super::{block_on, flawed, load, open, store_failure};
use crate::failure::Failure;

/// Writes the records that were asked for, newest first.
pub(super) fn cdr(args: &SettingsArgs, cdr: &CdrArgs) -> Result<(), Failure> {
    let loaded = load(args)?;
    let clock = Clock::new(loaded.settings.node.time_zone.name());
    let query = CdrQuery {
        from: cdr.from.clone(),
        to: cdr.to.clone(),
        did: cdr.did.map(|did| did.to_string()),
        customer: cdr.customer.clone(),
        ..CdrQuery::default()
    };
    let filter = query.filter(Scope::All, &clock).map_err(flawed)?;
    block_on(async {
        let store = open(&loaded.settings).await?;
        let mut out = std::io::BufWriter::new(std::io::stdout().lock());
        write_all(&store, &filter, &clock, cdr.format, &mut out).await
    })
}

async fn write_all(
    store: &Store,
    filter: &CdrFilter,
    clock: &Clock,
    format: CdrFormat,
    out: &mut impl Write,
) -> Result<(), Failure> {
    if format == CdrFormat::Csv {
        // The byte order mark tells spreadsheets that this is UTF-8.
        write(out, "\u{feff}")?;
        write(out, &csv_header())?;
    }
    let mut page = Page::first(MAX_PAGE);
    loop {
        let records = store.cdrs(filter, &page).await.map_err(store_failure)?;
        for record in records.items {
            let view = CdrView::of(record, clock);
            match format {
                CdrFormat::Csv => write(out, &csv_row(&view))?,
                CdrFormat::Json => {
                    let line = serde_json::to_string(&view).map_err(Failure::input)?;
                    write(out, &line)?;
                    write(out, "\n")?;
                }
            }
        }
        page.after = records.next;
        if page.after.is_none() {
            return out.flush().map_err(Failure::missing);
        }
    }
}

fn write(out: &mut impl Write, text: &str) -> Result<(), Failure> {
    out.write_all(text.as_bytes()).map_err(Failure::missing)
}
