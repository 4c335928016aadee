//! Times as RFC 3339 in UTC.
//!
//! In columns and answers as `2026-11-22T08:42:11.123456Z`, always 27 characters, so that text sorts as time does and every
//! SQL client can read it. In events with no more digits than it needs: none, three, six or nine of the fraction.

use chrono::{DateTime, Datelike, SecondsFormat, Timelike, Utc};
use serde::Serializer;

/// Later than every time that is written.
pub const END_OF_TIME: &str = "9999-12-31T23:59:59.999999Z";

/// Fractions below a microsecond are cut off. A year outside 0 … 9999 has no fixed width and becomes the nearest time
/// that has.
pub fn format(at: DateTime<Utc>) -> String {
    match at.year() {
        0..=9999 => {}
        ..0 => return "0000-01-01T00:00:00.000000Z".to_owned(),
        10_000.. => return END_OF_TIME.to_owned(),
    }
    // A leap second is counted in the nanoseconds, beyond 999 999 999.
    let micros = at.timestamp_subsec_micros().min(999_999);
    let mut text = END_OF_TIME.as_bytes().to_vec();
    let year = at.year().unsigned_abs();
    let parts = [(0..4, year), (5..7, at.month()), (8..10, at.day()), (11..13, at.hour()), (14..16, at.minute())];
    for (place, number) in parts.into_iter().chain([(17..19, at.second()), (20..26, micros)]) {
        digits(&mut text[place], number);
    }
    String::from_utf8(text).expect("it holds digits and separators")
}

/// As it stands in an event.
///
/// # Errors
/// Those of `serializer`.
pub fn serialize<S: Serializer>(at: &DateTime<Utc>, serializer: S) -> Result<S::Ok, S::Error> {
    let nanos = at.timestamp_subsec_nanos();
    if !(0..=9999).contains(&at.year()) || !nanos.is_multiple_of(1000) || nanos > 999_999_999 {
        return serializer.serialize_str(&at.to_rfc3339_opts(SecondsFormat::AutoSi, true));
    }
    let mut text = format(*at);
    let whole = match nanos / 1000 {
        0 => 19,
        micros if micros % 1000 == 0 => 23,
        _ => return serializer.serialize_str(&text),
    };
    text.truncate(whole);
    text.push('Z');
    serializer.serialize_str(&text)
}

/// By hand, since a batch writes thousands of times.
fn digits(place: &mut [u8], mut number: u32) {
    for digit in place.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

/// Reads what [`format()`] wrote.
pub fn parse(text: &str) -> Option<DateTime<Utc>> {
    let at = DateTime::parse_from_rfc3339(text).ok()?.with_timezone(&Utc);
    (text.len() == END_OF_TIME.len()).then_some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64, nanos: u32) -> DateTime<Utc> {
        DateTime::from_timestamp(seconds, nanos).unwrap()
    }

    #[test]
    fn times_have_one_width_and_microseconds() {
        assert_eq!(format(at(1_795_336_931, 123_456_789)), "2026-11-22T08:42:11.123456Z");
        assert_eq!(format(at(0, 0)), "1970-01-01T00:00:00.000000Z");
        assert_eq!(format(at(59, 1_999_999_999)), "1970-01-01T00:00:59.999999Z");
        for odd in [DateTime::<Utc>::MIN_UTC, DateTime::<Utc>::MAX_UTC] {
            assert_eq!(format(odd).len(), 27);
            assert!(parse(&format(odd)).is_some());
        }
    }

    #[test]
    fn an_event_has_no_more_digits_than_it_needs() {
        let written = |at: DateTime<Utc>| {
            let mut json = serde_json::Serializer::new(Vec::new());
            serialize(&at, &mut json).expect("a vector takes everything");
            String::from_utf8(json.into_inner()).expect("it is text")
        };
        assert_eq!(written(at(0, 0)), r#""1970-01-01T00:00:00Z""#);
        let odd = [DateTime::<Utc>::MIN_UTC, DateTime::<Utc>::MAX_UTC, at(59, 1_000_000_000), at(59, 1_999_999_999)];
        let fractions = [0, 1, 999, 1_000, 20_000_000, 120_000, 123_456_000, 999_999_999];
        for at in fractions.map(|nanos| at(1_795_336_931, nanos)).into_iter().chain(odd) {
            assert_eq!(written(at), serde_json::to_string(&at).expect("it has a text"));
        }
    }

    #[test]
    fn text_sorts_as_time_does_and_reads_back() {
        let times = [at(-1, 0), at(0, 999), at(0, 1_000), at(0, 999_999_999), at(1, 0), at(4_000_000_000, 5_000)];
        for pair in times.windows(2) {
            assert!(format(pair[0]) <= format(pair[1]), "{pair:?}");
        }
        for time in times {
            assert_eq!(parse(&format(time)), DateTime::from_timestamp_micros(time.timestamp_micros()));
        }
        assert_eq!(parse("2026-11-22T08:42:11Z"), None);
    }
}
