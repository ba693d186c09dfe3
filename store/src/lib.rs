//! Storage: migrations and repositories over SQLite and PostgreSQL.

pub mod model;
