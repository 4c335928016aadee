//! What others send is data: read strictly, bounded before it is kept, and never quoted in an error.
//!
//! | module | holds |
//! |---|---|
//! | [`json`] | JSON objects; a refusal says where and of what kind, never what stood there |
//! | [`text`] | texts for the journal, the log and `/readyz` |

pub mod json;
mod text;

pub use text::bounded;
