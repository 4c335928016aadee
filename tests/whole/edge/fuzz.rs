//! Hundreds of broken bodies per call, from a fixed seed: none may break the service.

use rand::{Rng, SeedableRng, rngs::StdRng};
use reqwest::Method;

use super::{Untouched, wire::Answer};

const ROUNDS: usize = 300;

/// Pieces that parsers stumble over.
const PIECES: [&str; 24] = [
    "null",
    "{}",
    "[]",
    "\"",
    "\\",
    "\\u0000",
    "\\ud800",
    "\u{0}",
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "-",
    "1e400",
    "18446744073709551616",
    "true",
    " ",
    "\u{feff}",
    "é",
    "\"owner\":",
    "\"ids\":[",
    "9223372036854775808",
];

fn mutate(random: &mut StdRng, body: &mut Vec<u8>) {
    for _ in 0..random.random_range(1..=4) {
        let at = random.random_range(0..=body.len());
        let end = random.random_range(at..=body.len().min(at + 12));
        match random.random_range(0..6) {
            0 => body.truncate(at),
            1 => drop(body.drain(at..end)),
            2 => {
                let piece = PIECES[random.random_range(0..PIECES.len())];
                body.splice(at..at, piece.bytes());
            }
            3 => {
                let piece = PIECES[random.random_range(0..PIECES.len())];
                body.splice(at..end, piece.bytes());
            }
            4 => {
                let copy = body[at..end].to_vec();
                body.splice(at..at, copy);
            }
            _ => {
                if let Some(byte) = body.get_mut(at) {
                    *byte ^= 1 << random.random_range(0..8);
                }
            }
        }
    }
}

#[tokio::test]
async fn no_broken_body_breaks_the_service() {
    let untouched = Untouched::start().await;
    let (app, writes) = (&untouched.app, untouched.writes());
    let mut random = StdRng::seed_from_u64(0x2e40_10ad);
    let (mut refused, mut taken) = (0, 0);
    for (method, path, body) in &writes {
        if *method == Method::DELETE {
            // A body that is left empty would end the item that the other calls are about.
            continue;
        }
        for round in 0..ROUNDS {
            let mut sent = body.unwrap_or("{\"a\":1}").as_bytes().to_vec();
            mutate(&mut random, &mut sent);
            let about = format!("{method} {path} round {round}: {}", String::from_utf8_lossy(&sent));
            let call = app.call(method.clone(), path).header("Content-Type", "application/json");
            let answer = Answer::of(call.body(sent)).await;
            match answer.status {
                200 | 201 => taken += 1,
                400 | 404 | 409 | 413 | 415 => {
                    refused += 1;
                    answer.problem(answer.status, &about);
                }
                status => panic!("{about}: {status} {:?}", answer.json()),
            }
        }
    }
    assert!(
        refused > 10 * taken.max(1) / 10 && taken > 0,
        "{refused} refused, {taken} taken: the mutations are too tame or too wild"
    );
    let (status, verified) = app.get("/v1/journal/verify").await;
    assert_eq!(status, 200, "{verified}");
}
