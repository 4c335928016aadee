//! What is wrong in a TOML file that somebody wrote.

/// What is wrong, and where. The parser's own words would show the line, which may hold a secret.
pub fn toml_problem(text: &str, error: &toml::de::Error) -> String {
    let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
    format!("line {}: {}", before.matches('\n').count() + 1, error.message())
}
