//! The `Content-Disposition` of a GET: a browser shows an object if its type runs no code, and saves it otherwise.
//!
//! 12:00 a client uploads a page as `text/html`; 12:01 another client opens its URL, and the page's script runs with
//! the rights of everything else that is served from this address. HEAD returns the stored header unchanged.

/// The header's value for an object that was stored with this type and disposition. Parameters, such as the file's name, stay.
pub(super) fn of_get(content_type: &str, stored: Option<&str>) -> Option<String> {
    if is_inert(content_type) {
        return stored.map(str::to_owned);
    }
    let parameters = stored.and_then(|stored| stored.find(';').map(|at| &stored[at..])).unwrap_or("");
    Some(format!("attachment{parameters}"))
}

/// Whether a browser runs no code of an object of this type when it shows the object.
fn is_inert(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match essence.split_once('/') {
        Some(("image", kind)) => !kind.contains("xml"),
        Some(("audio" | "video" | "font", kind)) => !kind.contains("xml"),
        _ => matches!(essence.as_str(), "text/plain" | "application/pdf"),
    }
}

#[cfg(test)]
mod tests {
    use super::of_get;

    #[test]
    fn what_runs_nothing_is_shown_as_it_was_stored() {
        for content_type in
            ["image/png", "IMAGE/JPEG", "video/webm;codecs=\"vp8,opus\"", "audio/mpeg", "text/plain; charset=utf-8"]
        {
            assert_eq!(of_get(content_type, None), None, "{content_type}");
            assert_eq!(of_get(content_type, Some("inline; filename=a")).as_deref(), Some("inline; filename=a"));
        }
    }

    #[test]
    fn what_may_run_is_saved_under_the_name_that_was_stored() {
        for content_type in [
            "text/html",
            "Text/HTML; charset=utf-8",
            "image/svg+xml",
            "application/xhtml+xml",
            "text/xml",
            "nonsense",
            "",
        ] {
            assert_eq!(of_get(content_type, None).as_deref(), Some("attachment"), "{content_type}");
            let named = of_get(content_type, Some("inline; filename*=UTF-8''a.html"));
            assert_eq!(named.as_deref(), Some("attachment; filename*=UTF-8''a.html"), "{content_type}");
            assert_eq!(of_get(content_type, Some("inline")).as_deref(), Some("attachment"));
        }
    }
}
