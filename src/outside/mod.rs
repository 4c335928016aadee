//! What others send is data: read strictly, bounded before it is kept, and never quoted in an error.
//!
//! | module | holds |
//! |---|---|
//! | `causes` | what caused an error of somebody else's code |
//! | [`json`] | JSON objects; a refusal says where and of what kind, never what stood there |
//! | `percent` | percent escapes |
//! | `text` | texts for the journal, the log and `/readyz` |
//! | `file` | what is wrong in a TOML file |

mod causes;
mod file;
pub mod json;
mod percent;
mod text;

pub use causes::{causes, innermost, with_causes};
pub use file::toml_problem;
pub use percent::{escaped, unescaped};
pub use text::bounded;
