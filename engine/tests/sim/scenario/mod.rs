//! One behaviour each, in fine weather.

mod hunting;
