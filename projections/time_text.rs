//! The one spelling of a time in a column: `2026-11-22T08:42:11.123456Z`, RFC 3339 in UTC, always 27 characters, so that
//! text sorts as time does and every SQL client can read it.

use chrono::{DateTime, Datelike, Timelike, Utc};

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
