//! One suite against every database that the store speaks. SQLite always runs; PostgreSQL runs
//! when `TENSOU_TEST_POSTGRES` is the URL of a database in which schemas may be created, and is
//! reported as ignored otherwise.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a case that cannot go on has failed, and the panic says where"
)]

mod bench;
mod changes;
mod documents;
mod dump;
mod hostile;
mod months;
mod nodes;
mod people;
mod provisioning;
mod records;
mod stress;
mod upkeep;

use std::future::Future;
use std::pin::Pin;

use bench::Bench;
use libtest_mimic::{Arguments, Trial};

const POSTGRES: &str = "TENSOU_TEST_POSTGRES";

type Run = Pin<Box<dyn Future<Output = ()>>>;

/// One behaviour that must hold on each database.
struct Case {
    name: &'static str,
    run: fn(Bench) -> Run,
}

/// Names the cases of a module as `CASES`, or as what stands before the `=`.
macro_rules! cases {
    ($list:ident = $($name:ident),+ $(,)?) => {
        pub(crate) const $list: &[crate::Case] = &[$(crate::Case {
            name: concat!(module_path!(), "::", stringify!($name)),
            run: |bench| Box::pin($name(bench)),
        }),+];
    };
    ($($name:ident),+ $(,)?) => {
        crate::cases!(CASES = $($name),+);
    };
}
pub(crate) use cases;

fn main() {
    let arguments = Arguments::from_args();
    let url = std::env::var(POSTGRES).ok();
    let modules = [
        changes::CASES,
        documents::CASES,
        dump::CASES,
        hostile::CASES,
        months::CASES,
        nodes::CASES,
        people::CASES,
        provisioning::CASES,
        records::CASES,
        stress::CASES,
        upkeep::CASES,
    ];
    let mut trials: Vec<Trial> =
        upkeep::SQLITE_CASES.iter().chain(stress::SQLITE_CASES).map(on_sqlite).collect();
    for case in modules.into_iter().flatten() {
        trials.extend([on_sqlite(case), on_postgres(case, url.clone())]);
    }
    let postgres = [dump::POSTGRES_CASES, months::POSTGRES_CASES, nodes::POSTGRES_CASES];
    for case in postgres.into_iter().flatten() {
        trials.push(on_postgres(case, url.clone()));
    }
    if url.is_none() {
        let skipped = trials.iter().filter(|trial| trial.has_ignored_flag()).count();
        eprintln!("skipped: {skipped} cases on PostgreSQL, because {POSTGRES} is not set");
    }
    libtest_mimic::run(&arguments, trials).exit();
}

fn short(case: &Case) -> &'static str {
    case.name.trim_start_matches("databases::")
}

fn on_sqlite(case: &'static Case) -> Trial {
    Trial::test(format!("sqlite::{}", short(case)), || {
        run(case, Bench::sqlite());
        Ok(())
    })
}

fn on_postgres(case: &'static Case, url: Option<String>) -> Trial {
    let missing = url.is_none();
    let trial = Trial::test(format!("postgres::{}", short(case)), move || {
        let url = url.ok_or(format!("{POSTGRES} is not set"))?;
        run(case, Bench::postgres(&url));
        Ok(())
    });
    trial.with_ignored_flag(missing)
}

fn run(case: &Case, bench: impl Future<Output = Bench>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let bench = bench.await;
        let store = bench.store.clone();
        (case.run)(bench).await;
        store.close().await;
    });
}
