//! Every interleaving of client, backend, collector, slow PUT and crash, within bounds, over the real rules.

mod backend;
mod collector;
mod fixtures;
mod model;
mod properties;

use backend::Kind;
use model::{Protocol, Variant};
use stateright::{Checker, HasDiscoveries, Model};

/// About half of what was measured: a model that no longer explores is seen.
const FLOOR: usize = 110_000;
const FLOOR_OF_RACES: usize = 280_000;

const AS_BUILT: Protocol = Protocol {
    variant: Variant::AsBuilt,
    calls: &[Kind::Request, Kind::Notice, Kind::Confirm],
    at_once: 1,
    puts: 2,
    faults: 1,
    horizon: 3,
    moves_until: 0,
};

/// Two calls race with each other and with the collector, and deadlines move.
const RENEWED_AND_RELEASED: Protocol = Protocol {
    calls: &[Kind::Request, Kind::Renew, Kind::Confirm, Kind::Release],
    at_once: 2,
    puts: 1,
    faults: 0,
    horizon: 4,
    moves_until: 2,
    ..AS_BUILT
};

#[test]
fn every_interleaving_with_a_fault_keeps_the_promises() {
    check(AS_BUILT, FLOOR);
}

#[test]
fn racing_renewals_confirms_and_releases_keep_the_promises() {
    check(RENEWED_AND_RELEASED, FLOOR_OF_RACES);
}

#[test]
fn a_delete_before_the_claim_is_seen_to_break_the_promises() {
    finds(Variant::DeleteBeforeClaim, [properties::CLAIM_BEFORE_DELETE, properties::IN_USE_IS_KEPT]);
}

#[test]
fn an_append_without_the_expected_version_is_seen_to_break_the_promises() {
    finds(Variant::WithoutExpectedVersion, [properties::ONE_SIDE, properties::IN_USE_IS_KEPT]);
}

#[test]
fn without_re_checks_a_put_that_is_told_of_too_early_is_seen_to_stay() {
    finds(Variant::WithoutRechecks, [properties::NOTHING_LEFT]);
}

fn check(protocol: Protocol, floor: usize) {
    let checker = protocol.checker().threads(2).spawn_bfs().join();
    println!("unique states: {}, depth: {}", checker.unique_state_count(), checker.max_depth());
    checker.assert_properties();
    assert!(checker.unique_state_count() > floor, "only {} states", checker.unique_state_count());
}

fn finds<const N: usize>(variant: Variant, broken: [&'static str; N]) {
    let until = HasDiscoveries::AllOf(broken.into());
    let checker = Protocol { variant, ..AS_BUILT }.checker().finish_when(until).spawn_bfs().join();
    broken.into_iter().for_each(|name| {
        checker.assert_any_discovery(name);
    });
}
