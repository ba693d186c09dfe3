//! Tensou: the shell around the engine.
