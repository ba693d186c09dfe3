//! A folder for what a run writes.

use std::path::{Path, PathBuf};

use anyhow::Result;

/// A temporary folder that goes with the run, unless it is to be kept.
pub(crate) struct WorkDir {
    path: PathBuf,
    keep: bool,
}

impl WorkDir {
    pub(crate) fn new(keep: bool) -> Result<WorkDir> {
        let path = std::env::temp_dir().join(format!("tensou-loadtest-{}", std::process::id()));
        std::fs::create_dir_all(&path)?;
        Ok(WorkDir { path, keep })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for WorkDir {
    fn drop(&mut self) {
        if !self.keep {
            // A folder left behind in /tmp harms nobody.
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}
