//! Texts that others had a part in: short, and without characters that steer a terminal, a log or the direction of writing.

use std::fmt::Write;

/// At most `most` characters of `text`, and a mark where more was cut off. Control characters and those that change the
/// direction of writing are written as escapes.
pub fn bounded(text: &str, most: usize) -> String {
    let mut kept = String::with_capacity(text.len().min(most));
    for (index, character) in text.chars().enumerate() {
        if index == most {
            kept.push('…');
            break;
        }
        if character.is_control() || steers(character) {
            write!(kept, "{}", character.escape_unicode()).expect("a string takes any text");
        } else {
            kept.push(character);
        }
    }
    kept
}

/// Line and paragraph separators, and what overrides or isolates a direction (Unicode Standard Annex 9).
const fn steers(character: char) -> bool {
    matches!(
        character,
        '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_keeps_its_beginning_and_nothing_that_steers() {
        assert_eq!(bounded("no answer: ümläut 🙂", 100), "no answer: ümläut 🙂");
        assert_eq!(bounded("abcdef", 3), "abc…");
        assert_eq!(bounded("abc", 3), "abc");
        assert_eq!(bounded("a\r\n\u{1b}[2J\u{202e}b", 100), "a\\u{d}\\u{a}\\u{1b}[2J\\u{202e}b");
        assert_eq!(bounded(&"\u{0}".repeat(10_000), 10).len(), 10 * "\\u{0}".len() + '…'.len_utf8());
    }
}
