//! Rules of the code base that the compiler does not hold, each as a test that reads the sources.
//!
//! Every rule is a function from sources to offences, and has a test of its own that it can fail.

#[path = "tidy/conformance.rs"]
mod conformance;
#[path = "tidy/dependencies.rs"]
mod dependencies;
#[path = "tidy/layers.rs"]
mod layers;
#[path = "tidy/locks.rs"]
mod locks;
#[path = "tidy/sources.rs"]
mod sources;
#[path = "tidy/text.rs"]
mod text;
