//! Call records: search, one, and CSV as a stream.

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::HeaderValue;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use futures_util::stream::{self, Stream};
use tensou_store::{MAX_PAGE, Page};
use utoipa::openapi::path::HttpMethod;
use utoipa_axum::router::OpenApiRouter;

use super::PREFIX;
use super::listing::{ListOf, Parameters};
use super::operation::Operation;
use crate::app::auth::{Action, Area, Principal};
use crate::app::records::{CdrQuery, CdrView, CsvEncoding, Encoder, csv_header, csv_row};
use crate::app::{App, Flaw, Refusal};

pub(crate) fn routes(app: &App) -> OpenApiRouter<App> {
    let all = format!("{PREFIX}/cdrs");
    let list = Operation::new(HttpMethod::Get, &all, "list_cdrs")
        .about("cdrs", "Call records, newest first.")
        .needs(Action::Read, Area::Cdrs)
        .query("from", "Started not before: RFC 3339, or a day from its beginning.")
        .query("to", "Started before: RFC 3339, or a day to its end.")
        .query("did", "DID called or presented, in any form people write numbers.")
        .query("customer", "Customer id.")
        .query("caller", "Caller, in any form people write numbers.")
        .query("trunk", "Trunk it came by.")
        .query("result", "Outcome.")
        .query("direction", "`in`, `out` or `forward`.")
        .query("q", "Stands somewhere in DID, caller, customer, answering destination or id.")
        .query("format", "`json` (default), or `csv`: every record that matches, as a stream.")
        .query("encoding", "Of CSV: `utf-8` with a byte order mark (default), or `shift_jis`.")
        .paged()
        .returns_list::<CdrView>("A page, newest first.");
    let list = list.also_returns_text("200", "text/csv");
    let get = Operation::new(HttpMethod::Get, &format!("{all}/{{id}}"), "get_cdr")
        .about("cdrs", "One call record.")
        .needs(Action::Read, Area::Cdrs)
        .returns::<CdrView>("200", "The record.")
        .fails("404", "There is none that you see.");
    OpenApiRouter::new().routes(list.done_by(app, records)).routes(get.done_by(app, record))
}

async fn record(
    State(app): State<App>,
    who: Principal,
    Path(id): Path<String>,
) -> Result<Json<CdrView>, Refusal> {
    Ok(Json(CdrView::of(app.cdr(&who, &id).await?, app.clock())))
}

async fn records(
    State(app): State<App>,
    who: Principal,
    parameters: Parameters,
) -> Result<Response, Refusal> {
    let mut known = CdrQuery::FIELDS.to_vec();
    known.extend(["format", "encoding"]);
    parameters.only(&known)?;
    let pairs = parameters.0.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let query = CdrQuery::of_pairs(pairs);
    match parameters.one("format").unwrap_or("json") {
        "json" => {
            let found = app.cdrs(&who, &query, &parameters.page()?).await?;
            let items =
                found.items.into_iter().map(|record| CdrView::of(record, app.clock())).collect();
            Ok(Json(ListOf { items, next: found.next }).into_response())
        }
        "csv" => {
            let wanted = parameters.one("encoding").unwrap_or("utf-8");
            let encoding = CsvEncoding::parse(wanted)
                .ok_or_else(|| wrong("encoding", "use utf-8 or shift_jis"))?;
            as_csv(app, who, query, encoding).await
        }
        _ => Err(wrong("format", "use json or csv")),
    }
}

fn wrong(name: &str, message: &str) -> Refusal {
    Refusal::Invalid(vec![Flaw::query(name, message)])
}

async fn as_csv(
    app: App,
    who: Principal,
    query: CdrQuery,
    encoding: CsvEncoding,
) -> Result<Response, Refusal> {
    let mut export =
        Export { app, who, query, encoder: Encoder::new(encoding), page: Page::first(MAX_PAGE) };
    // The first page before the status: a wrong query is refused, not an empty file.
    let first = export.begin().await?;
    let mut response = Response::new(Body::from_stream(export.stream(first)));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(encoding.content_type()));
    headers
        .insert(CONTENT_DISPOSITION, HeaderValue::from_static("attachment; filename=\"cdrs.csv\""));
    Ok(response)
}

/// A file in the making: one page of records in memory at a time.
struct Export {
    app: App,
    who: Principal,
    query: CdrQuery,
    encoder: Encoder,
    page: Page,
}

/// A piece of the file, and whether another follows.
struct Piece {
    bytes: Bytes,
    more: bool,
}

impl Export {
    async fn begin(&mut self) -> Result<Piece, Refusal> {
        let mut bytes = self.encoder.mark().to_vec();
        bytes.extend(self.encoder.encode(&csv_header()));
        let first = self.next().await?;
        bytes.extend_from_slice(&first.bytes);
        Ok(Piece { bytes: bytes.into(), more: first.more })
    }

    async fn next(&mut self) -> Result<Piece, Refusal> {
        let found = self.app.cdrs(&self.who, &self.query, &self.page).await?;
        let rows: String = found
            .items
            .into_iter()
            .map(|record| csv_row(&CdrView::of(record, self.app.clock())))
            .collect();
        let more = found.next.is_some();
        self.page.after = found.next;
        Ok(Piece { bytes: self.encoder.encode(&rows).into(), more })
    }

    /// A fault on the way breaks the transfer off, so that nobody takes a part for the whole.
    fn stream(self, first: Piece) -> impl Stream<Item = Result<Bytes, Refusal>> {
        stream::try_unfold((self, Some(first)), |(mut export, piece)| async move {
            let Some(piece) = piece else { return Ok(None) };
            let following = if piece.more { Some(export.next().await?) } else { None };
            Ok(Some((piece.bytes, (export, following))))
        })
    }
}
