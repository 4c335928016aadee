//! Checks that an answer is whole. A list proves something by what it leaves out, so half a list must never be read as
//! a whole one.

use std::sync::{Arc, OnceLock};

use aws_sdk_s3::{
    config::{ConfigBag, Intercept, RuntimeComponents, interceptors::AfterDeserializationInterceptorContextRef},
    error::BoxError,
};

/// Refuses an answer that was cut: the SDK's parser takes the end of the text for the end of every open element, so
/// half a key could be read as deleted, and half a list as the whole list. Holds the end of the root element's closing
/// tag.
#[derive(Debug)]
pub(super) struct WholeAnswer(pub &'static str);

impl Intercept for WholeAnswer {
    fn name(&self) -> &'static str {
        "WholeAnswer"
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let answer = context.response();
        if !answer.status().is_success() {
            return Ok(());
        }
        let body = answer.body().bytes().unwrap_or_default().trim_ascii_end();
        if body.ends_with(self.0.as_bytes()) { Ok(()) } else { Err("the answer was cut".into()) }
    }
}

/// Notes the name of an answer's root element, which tells the caller which request the server has answered.
#[derive(Clone, Debug, Default)]
pub(super) struct RootElement(Arc<OnceLock<String>>);

impl RootElement {
    /// Longer names are cut.
    const MAX: usize = 64;

    /// Empty where the answer is no XML; `None` where there was no answer, or a refusal.
    pub fn name(&self) -> Option<&str> {
        self.0.get().map(String::as_str)
    }
}

impl Intercept for RootElement {
    fn name(&self) -> &'static str {
        "RootElement"
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let answer = context.response();
        if answer.status().is_success() {
            let root = root_of(answer.body().bytes().unwrap_or_default());
            // The answer to a repeat has the same root, so the first one may stay.
            let _ = self.0.set(root.chars().take(Self::MAX).collect());
        }
        Ok(())
    }
}

/// The name of the first element of an XML text, behind declarations and comments.
fn root_of(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(4096)]).into_owned();
    let mut rest = text.trim_start_matches('\u{feff}').trim_start();
    while rest.starts_with("<?") || rest.starts_with("<!") {
        let end = if rest.starts_with("<!--") { "-->" } else { ">" };
        let Some((_, behind)) = rest.split_once(end) else { return String::new() };
        rest = behind.trim_start();
    }
    let name = rest.strip_prefix('<').unwrap_or_default();
    name.chars()
        .take_while(|letter| letter.is_ascii_alphanumeric() || matches!(letter, ':' | '_' | '-' | '.'))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_of_an_answer_is_found_behind_what_comes_before_it() {
        for (body, root) in [
            ("<ListBucketResult xmlns=\"x\"><Name>", "ListBucketResult"),
            ("<?xml version=\"1.0\"?>\n<!-- <no> -->\n<VersioningConfiguration/>", "VersioningConfiguration"),
            ("<html>", "html"),
            ("{\"json\": true}", ""),
            ("<?xml", ""),
            ("", ""),
        ] {
            assert_eq!(root_of(body.as_bytes()), root, "{body}");
        }
    }
}
