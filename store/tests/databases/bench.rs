//! A fresh database for each case.

use std::path::PathBuf;

use tensou_engine::route::Fault;
use tensou_store::model::Document;
use tensou_store::{Actor, Format, Role, Store, StoreError, parse_document};

const OPERATOR: &str = include_str!("../../../examples/operator.toml");

/// A migrated database of its own.
pub(crate) struct Bench {
    pub(crate) store: Store,
    /// A second process would connect to this.
    pub(crate) url: String,
    /// Removed with the bench.
    pub(crate) folder: Option<PathBuf>,
    raw: Raw,
}

/// The same database without the store, to see what really stands in it.
enum Raw {
    Sqlite(sqlx::SqlitePool),
    Postgres(sqlx::PgPool),
}

/// A lock on everything that the store writes to.
pub(crate) enum Lock {
    Sqlite(#[expect(dead_code, reason = "held")] sqlx::Transaction<'static, sqlx::Sqlite>),
    Postgres(#[expect(dead_code, reason = "held")] sqlx::Transaction<'static, sqlx::Postgres>),
}

impl Bench {
    pub(crate) async fn sqlite() -> Bench {
        let folder = std::env::temp_dir().join(format!("tensou-store-{}", uuid::Uuid::now_v7()));
        let url = format!("sqlite:{}", folder.join("data/tensou.db").display());
        let store = migrated(&url).await;
        let raw = Raw::Sqlite(sqlx::SqlitePool::connect(&url).await.unwrap());
        Bench { store, url, folder: Some(folder), raw }
    }

    /// A schema of its own in the database at `url`.
    pub(crate) async fn postgres(url: &str) -> Bench {
        let schema = format!("tensou_test_{}", uuid::Uuid::now_v7().simple());
        let pool = sqlx::PgPool::connect(url).await.expect("PostgreSQL is reachable");
        let create = sqlx::AssertSqlSafe(format!("CREATE SCHEMA {schema}"));
        sqlx::query(create).execute(&pool).await.unwrap();
        pool.close().await;
        let mark = if url.contains('?') { '&' } else { '?' };
        let url = format!("{url}{mark}options[search_path]={schema}");
        let store = migrated(&url).await;
        let raw = Raw::Postgres(sqlx::PgPool::connect(&url).await.unwrap());
        Bench { store, url, folder: None, raw }
    }

    /// The first column of every row, which is text.
    pub(crate) async fn texts(&self, sql: &'static str) -> Vec<String> {
        match &self.raw {
            Raw::Sqlite(pool) => sqlx::query_scalar(sql).fetch_all(pool).await.unwrap(),
            Raw::Postgres(pool) => sqlx::query_scalar(sql).fetch_all(pool).await.unwrap(),
        }
    }

    /// The one number that a statement returns.
    pub(crate) async fn number(&self, sql: &'static str) -> i64 {
        match &self.raw {
            Raw::Sqlite(pool) => sqlx::query_scalar(sql).fetch_one(pool).await.unwrap(),
            Raw::Postgres(pool) => sqlx::query_scalar(sql).fetch_one(pool).await.unwrap(),
        }
    }

    /// Keeps everybody from writing until it is dropped, as another process may.
    pub(crate) async fn lock(&self) -> Lock {
        match &self.raw {
            Raw::Sqlite(pool) => Lock::Sqlite(pool.begin_with("BEGIN EXCLUSIVE").await.unwrap()),
            Raw::Postgres(pool) => {
                let mut tx = pool.begin().await.unwrap();
                let sql = "LOCK TABLE cdrs, meta IN ACCESS EXCLUSIVE MODE";
                sqlx::query(sql).execute(&mut *tx).await.unwrap();
                Lock::Postgres(tx)
            }
        }
    }

    /// The provisioning of `examples/operator.toml`, imported.
    pub(crate) async fn with_operator(self) -> Bench {
        self.store.import(&admin(), &operator(), false).await.unwrap();
        self
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        if let Some(folder) = &self.folder {
            let _ = std::fs::remove_dir_all(folder);
        }
    }
}

async fn migrated(url: &str) -> Store {
    let store = Store::connect(url).await.unwrap();
    store.migrate().await.unwrap();
    store
}

pub(crate) fn operator() -> Document {
    parse_document(OPERATOR, Format::Toml).unwrap()
}

pub(crate) fn admin() -> Actor {
    Actor::new("alice", Role::Admin)
}

/// The faults of a refused write, `kind key field`.
pub(crate) fn places<T: std::fmt::Debug>(result: Result<T, StoreError>) -> Vec<String> {
    match result {
        Err(StoreError::Invalid(faults)) => faults.iter().map(place).collect(),
        other => panic!("expected faults, got {other:?}"),
    }
}

fn place(fault: &Fault) -> String {
    assert!(!fault.message.is_empty());
    format!("{} {} {}", fault.kind, fault.key, fault.field)
}
