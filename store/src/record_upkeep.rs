//! Months of call records: made ahead on PostgreSQL, forgotten when they are old on both.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan, Zoned};
use sqlx::postgres::PgPool;

use crate::error::StoreError;
use crate::sql::{Database, Tx};
use crate::store::Store;

/// Months made ahead of the running one. A node whose upkeep fails for a quarter of a year still
/// finds a partition; after that records go to the rest, which is slower and nothing else.
const AHEAD: i32 = 3;
/// Records deleted in one transaction: some ten milliseconds, in which other writers wait.
const BATCH: u32 = 1_000;
/// How long dropping a month waits for those who read it. Writers queue behind it.
const DROP_WAIT: &str = "SET LOCAL lock_timeout = '2s'";
/// Records outside of these years have a broken clock; they stay in the rest.
const YEARS: std::ops::RangeInclusive<i16> = 2000..=2199;

/// What was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Upkeep {
    /// Partitions made.
    pub made: u32,
    /// Partitions dropped, with all their records.
    pub dropped: u32,
    /// Records deleted one by one.
    pub deleted: u64,
}

impl Store {
    /// Makes room for the records of this month and the next ones, and forgets those that are
    /// older than the `keep_months` months before the running one in the zone of `now`; 0 keeps
    /// them for ever. Harmless to do again, and on several nodes at once.
    ///
    /// # Errors
    /// [`StoreError::Database`] when the database fails; what was done until then stays.
    pub async fn keep_records(&self, now: &Zoned, keep_months: u32) -> Result<Upkeep, StoreError> {
        let mut done = Upkeep::default();
        if let Database::Postgres(pool) = &self.database {
            done.made = self.make_months(pool, now.timestamp()).await?;
        }
        let Some(oldest) = oldest_kept(now, keep_months) else { return Ok(done) };
        if matches!(self.database, Database::Postgres(_)) {
            done.dropped = self.drop_months(oldest).await?;
        }
        done.deleted = self.delete_before(oldest).await?;
        Ok(done)
    }

    async fn make_months(&self, pool: &PgPool, now: Timestamp) -> Result<u32, StoreError> {
        let month = Month::of(now);
        let mut wanted: Vec<Month> =
            (0..=AHEAD).filter_map(|ahead| month.and_then(|month| month.plus(ahead))).collect();
        // Records of other months that came while their partition was missing.
        let strays = "SELECT DISTINCT to_char(to_timestamp(started_at / 1000) AT TIME ZONE 'UTC', \
                      'YYYY-MM-01') FROM cdrs_rest WHERE started_at BETWEEN $1 AND $2";
        let edge = |year| Month(Date::constant(year, 1, 1)).start_ms();
        let edges = [edge(*YEARS.start()).into(), edge(*YEARS.end()).into()];
        for row in self.database.rows(strays, &edges).await? {
            wanted.extend(row.text(0)?.parse().ok().map(Month));
        }
        let mut made = 0;
        for month in wanted {
            let mut tx = Tx::Postgres(pool.begin().await?);
            if make(&mut tx, month).await? {
                made += 1;
            }
            tx.commit().await?;
        }
        Ok(made)
    }

    async fn drop_months(&self, oldest: Timestamp) -> Result<u32, StoreError> {
        let sql = "SELECT c.relname::TEXT FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid \
                   WHERE i.inhparent = 'cdrs'::regclass ORDER BY 1";
        let mut dropped = 0;
        for row in self.database.rows(sql, &[]).await? {
            let name = row.text(0)?;
            let over = |month: Month| month.plus(1).is_some_and(|next| next.start() <= oldest);
            if !Month::of_table(&name).is_some_and(over) {
                continue;
            }
            let mut tx = self.database.write().await?;
            tx.execute(DROP_WAIT, &[]).await?;
            tx.execute(format!("DROP TABLE IF EXISTS {name}"), &[]).await?;
            tx.commit().await?;
            dropped += 1;
        }
        Ok(dropped)
    }

    async fn delete_before(&self, oldest: Timestamp) -> Result<u64, StoreError> {
        let sql = format!(
            "DELETE FROM cdrs WHERE started_at < $1 AND id IN \
             (SELECT id FROM cdrs WHERE started_at < $1 ORDER BY started_at LIMIT {BATCH})"
        );
        let mut deleted = 0;
        loop {
            let batch =
                self.database.execute(sql.clone(), &[oldest.as_millisecond().into()]).await?;
            deleted += batch;
            if batch < u64::from(BATCH) {
                return Ok(deleted);
            }
        }
    }
}

/// Makes a month's partition and moves its records there from the rest; false when there is one.
async fn make(tx: &mut Tx, month: Month) -> Result<bool, StoreError> {
    // One node after the other; the lock goes with the transaction.
    let lock = "SELECT 1 FROM pg_advisory_xact_lock(hashtextextended(current_schema(), 1))";
    tx.row(lock, &[]).await?;
    let name = month.table();
    let known = tx.row("SELECT to_regclass($1)::TEXT", &[(&name).into()]).await?;
    if known.is_some_and(|row| row.text_or_null(0).is_ok_and(|name| name.is_some())) {
        return Ok(false);
    }
    let Some(next) = month.plus(1) else { return Ok(false) };
    let (from, to) = (month.start_ms(), next.start_ms());
    for sql in [
        format!("CREATE TABLE {name} (LIKE cdrs INCLUDING ALL)"),
        format!(
            "WITH moved AS (DELETE FROM cdrs_rest WHERE started_at >= {from} AND started_at < {to} \
             RETURNING *) INSERT INTO {name} SELECT * FROM moved"
        ),
        format!("ALTER TABLE cdrs ATTACH PARTITION {name} FOR VALUES FROM ({from}) TO ({to})"),
    ] {
        tx.execute(sql, &[]).await?;
    }
    Ok(true)
}

/// The first moment of which records are kept.
fn oldest_kept(now: &Zoned, keep_months: u32) -> Option<Timestamp> {
    if keep_months == 0 {
        return None;
    }
    let first = now.date().first_of_month();
    let oldest = first.checked_sub(i64::from(keep_months).months()).ok()?;
    Some(oldest.to_zoned(now.time_zone().clone()).ok()?.timestamp())
}

/// A month of UTC, by its first day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Month(Date);

impl Month {
    fn of(at: Timestamp) -> Option<Self> {
        let date = at.to_zoned(TimeZone::UTC).date().first_of_month();
        YEARS.contains(&date.year()).then_some(Month(date))
    }

    fn plus(self, months: i32) -> Option<Self> {
        self.0.checked_add(months.months()).ok().map(Month)
    }

    fn start(self) -> Timestamp {
        self.0.to_zoned(TimeZone::UTC).map(|start| start.timestamp()).unwrap_or(Timestamp::MAX)
    }

    fn start_ms(self) -> i64 {
        self.start().as_millisecond()
    }

    fn table(self) -> String {
        self.0.strftime("cdrs_%Y_%m").to_string()
    }

    /// Reads what [`Month::table`] wrote; none for any other table.
    fn of_table(name: &str) -> Option<Self> {
        let (year, month) = name.strip_prefix("cdrs_")?.split_once('_')?;
        Date::new(year.parse().ok()?, month.parse().ok()?, 1).ok().map(Month)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(now: &str, months: u32) -> Option<String> {
        let now: Zoned = now.parse().unwrap();
        oldest_kept(&now, months).map(|oldest| oldest.to_string())
    }

    #[test]
    fn whole_months_of_the_operators_zone_are_kept() {
        let new_year = "2026-12-31T23:59:59+09:00[Asia/Tokyo]";
        assert_eq!(kept(new_year, 1).unwrap(), "2026-10-31T15:00:00Z");
        let new_year = "2027-01-01T00:00:00+09:00[Asia/Tokyo]";
        assert_eq!(kept(new_year, 1).unwrap(), "2026-11-30T15:00:00Z");
        let leap_day = "2028-02-29T12:00:00+01:00[Europe/Berlin]";
        assert_eq!(kept(leap_day, 12).unwrap(), "2027-01-31T23:00:00Z");
        // The clocks went forward between that month and this one.
        let summer = "2026-05-15T12:00:00+02:00[Europe/Berlin]";
        assert_eq!(kept(summer, 2).unwrap(), "2026-02-28T23:00:00Z");
        assert_eq!(kept(summer, 0), None);
    }

    #[test]
    fn a_table_is_named_by_its_month() {
        let month = Month::of("2026-11-30T23:59:59.999Z".parse().unwrap()).unwrap();
        assert_eq!(month.table(), "cdrs_2026_11");
        assert_eq!(Month::of_table("cdrs_2026_11"), Some(month));
        assert_eq!(month.plus(2).unwrap().table(), "cdrs_2027_01");
        for other in ["cdrs_rest", "cdrs", "cdrs_2026_13", "audit"] {
            assert_eq!(Month::of_table(other), None, "{other}");
        }
    }
}
