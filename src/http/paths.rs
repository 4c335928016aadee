//! The paths of the interface. Each path is written here and nowhere else.

/// A module for each path, with the path itself and the route of each call that is recorded in event metadata.
macro_rules! paths {
    ($($name:ident $path:literal $([$($method:ident),*])?;)*) => {
        $(pub mod $name {
            pub const PATH: &str = $path;
            $($(pub const $method: &str = concat!(stringify!($method), " ", $path);)*)?
        })*
    };
}

paths! {
    media "/v1/media" [POST];
    confirm_many "/v1/media/confirm" [POST];
    one "/v1/media/{id}" [DELETE];
    uploaded "/v1/media/{id}/uploaded" [POST];
    confirm "/v1/media/{id}/confirm" [POST];
    ticket "/v1/media/{id}/ticket" [POST];
    restore "/v1/media/{id}/restore" [POST];
    explain "/v1/media/{id}/explain";
    media_events "/v1/media/{id}/events";
    events "/v1/events";
    verify "/v1/journal/verify";
    projections "/v1/projections";
    pending "/v1/projections/pending";
    collections "/v1/collections";
    collection "/v1/collections/{id}";
    notifications "/v1/notifications/s3" [POST];
    reconciliations "/v1/reconciliations";
    reconciliation "/v1/reconciliations/{id}";
    home "/";
    docs "/docs";
    livez "/livez";
    readyz "/readyz";
    metrics "/metrics";
    openapi "/openapi.json";
}

/// The route that is recorded when a caller has told a run to go on although the brake is on.
pub const OVERRIDES_THE_BRAKE: &str = "POST /v1/collections override_brake";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_override_of_the_brake_is_a_call_of_collections() {
        assert!(OVERRIDES_THE_BRAKE.starts_with(&format!("POST {} ", collections::PATH)));
    }
}
