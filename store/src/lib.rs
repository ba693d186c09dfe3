//! Storage: migrations and repositories over SQLite and PostgreSQL.
//!
//! The only crate that names the SQL driver. A [`Store`] judges every write before it commits:
//! the database never holds a provisioning that the engine would refuse.

mod access;
mod around;
mod audit;
mod changes;
mod connect;
mod copy;
mod document;
mod dump;
mod error;
mod import;
mod judge;
mod listing;
pub mod model;
mod nearest;
mod news;
mod nodes;
mod people;
mod people_rows;
mod provisioning;
mod record_rows;
mod record_upkeep;
mod references;
mod resource;
mod rows;
mod shape;
mod sql;
mod store;
mod write;

pub use access::{Actor, Role, Scope};
pub use audit::{AuditEntry, AuditFilter, StoredResponse};
pub use document::{DocumentError, Format, locate, parse_document, render_document};
pub use dump::{Dumped, Part, RestoreError};
pub use error::StoreError;
pub use import::ImportReport;
pub use listing::{Filter, Listing, MAX_PAGE, Page, Paged, Versioned};
pub use news::Order;
pub use nodes::{ALIVE_MS, Beat, CallNews, NodeSeen};
pub use people::{NewToken, NewUser, Session, Token, User, UserChange};
pub use provisioning::{Loaded, PeerName, ProvisioningDraft};
pub use record_rows::{CdrFilter, CdrPage};
pub use record_upkeep::Upkeep;
pub use resource::Resource;
pub use store::Store;
