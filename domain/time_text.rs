//! Times as RFC 3339 in UTC.
//!
//! In columns and answers as `2026-11-22T08:42:11.123456Z`, always 27 characters, so that text sorts as time does and every
//! SQL client can read it. In events with no more digits than it needs: none, three, six or nine of the fraction.

use std::fmt;

use chrono::{DateTime, Datelike, NaiveDate, SecondsFormat, Timelike, Utc};
use serde::{Deserializer, Serializer, de};

const START_OF_TIME: &str = "0000-01-01T00:00:00.000000Z";

/// Later than every time that is written.
pub const END_OF_TIME: &str = "9999-12-31T23:59:59.999999Z";

/// Fractions below a microsecond are cut off. A year outside 0 … 9999 has no fixed width and becomes the nearest time
/// that has.
pub fn format(at: DateTime<Utc>) -> String {
    as_text(&written(at)).to_owned()
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
    let mut text = written(*at);
    let whole = match nanos / 1000 {
        0 => 19,
        micros if micros % 1000 == 0 => 23,
        _ => 26,
    };
    text[whole] = b'Z';
    serializer.serialize_str(as_text(&text[..=whole]))
}

/// As it stands in an answer.
///
/// # Errors
/// Those of `serializer`.
pub fn serialize_fixed<S: Serializer>(at: &DateTime<Utc>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(as_text(&written(*at)))
}

/// Without an allocation: every event and every answer holds several.
fn written(at: DateTime<Utc>) -> [u8; END_OF_TIME.len()] {
    let mut text = [0; END_OF_TIME.len()];
    text.copy_from_slice(if at.year() < 0 { START_OF_TIME } else { END_OF_TIME }.as_bytes());
    if !(0..=9999).contains(&at.year()) {
        return text;
    }
    // A leap second is counted in the nanoseconds, beyond 999 999 999.
    let micros = at.timestamp_subsec_micros().min(999_999);
    let year = at.year().unsigned_abs();
    let parts = [(0..4, year), (5..7, at.month()), (8..10, at.day()), (11..13, at.hour()), (14..16, at.minute())];
    for (place, number) in parts.into_iter().chain([(17..19, at.second()), (20..26, micros)]) {
        digits(&mut text[place], number);
    }
    text
}

fn as_text(written: &[u8]) -> &str {
    std::str::from_utf8(written).expect("it holds digits and separators")
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
    let at = read(text).or_else(|| Some(DateTime::parse_from_rfc3339(text).ok()?.with_timezone(&Utc)))?;
    (text.len() == END_OF_TIME.len()).then_some(at)
}

/// Reads what [`serialize`] wrote, and any other form that [`chrono`] reads.
///
/// # Errors
/// Those of `deserializer`.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<DateTime<Utc>, D::Error> {
    struct Time;
    impl de::Visitor<'_> for Time {
        type Value = DateTime<Utc>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an RFC 3339 formatted date and time string")
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<DateTime<Utc>, E> {
            read(text).map_or_else(|| text.parse().map_err(E::custom), Ok)
        }
    }
    deserializer.deserialize_str(Time)
}

/// A time in the form that is written here, which is nearly every one that is read; nothing for one in another form. By hand,
/// since every item that is loaded has several.
fn read(text: &str) -> Option<DateTime<Utc>> {
    let (whole, rest) = text.as_bytes().split_at_checked("2026-11-22T08:42:11".len())?;
    if [whole[4], whole[7], whole[10], whole[13], whole[16]] != *b"--T::" {
        return None;
    }
    let nanos = match rest.strip_suffix(b"Z")? {
        [] => 0,
        [b'.', fraction @ ..] if (1..=9).contains(&fraction.len()) => {
            (fraction.len()..9).fold(number(fraction)?, |nanos, _| nanos * 10)
        }
        _ => return None,
    };
    let date =
        NaiveDate::from_ymd_opt(number(&whole[..4])?.cast_signed(), number(&whole[5..7])?, number(&whole[8..10])?)?;
    let time = date.and_hms_nano_opt(number(&whole[11..13])?, number(&whole[14..16])?, number(&whole[17..])?, nanos)?;
    Some(time.and_utc())
}

/// Of at most nine digits.
fn number(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |number, digit| digit.is_ascii_digit().then(|| number * 10 + u32::from(digit - b'0')))
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

    #[test]
    fn a_time_is_read_as_the_library_reads_it() {
        let read = |text: &str| {
            let text = de::value::StrDeserializer::<de::value::Error>::new(text);
            deserialize(text).ok()
        };
        for whole in ["2026-11-22T08:42:11", "0000-01-01T00:00:00", "9999-12-31T23:59:59", "2024-02-29T12:00:00"] {
            for rest in ["Z", ".1Z", ".120Z", ".123456Z", ".000000001Z", "+01:30", ".5-08:00"] {
                let text = format!("{whole}{rest}");
                assert_eq!(read(&text), Some(text.parse().unwrap()), "{text}");
            }
        }
        let odd = [
            "2016-12-31T23:59:60Z",
            "2026-11-22t08:42:11z",
            "2026-11-22 08:42:11Z",
            "2026-11-22T08:42:11.1234567891Z",
            "2026-02-30T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-11-22T24:00:00Z",
            "2026-11-22T08:42:11.Z",
            "2026-11-22T08:42:11",
            "2026-11-22T08-42-11Z",
            "+026-11-22T08:42:11Z",
            "2026-11-22T08:42:1éZ",
            "",
        ];
        for text in odd {
            assert_eq!(read(text), text.parse().ok(), "{text}");
        }
        for nanos in [0, 1, 1000, 999_000, 120_000_000, 999_999_999] {
            let json = serialize(&at(1_795_336_931, nanos), serde_json::value::Serializer).unwrap();
            assert_eq!(read(json.as_str().unwrap()), Some(at(1_795_336_931, nanos)));
        }
    }
}
