//! The program as its users meet it: exit codes, messages, start and end of `tensou serve`.

#[path = "program/backup.rs"]
mod backup;
#[path = "program/bench.rs"]
mod bench;
#[path = "program/commands.rs"]
mod commands;
#[path = "program/serving.rs"]
mod serving;
#[path = "program/upgrade.rs"]
mod upgrade;
