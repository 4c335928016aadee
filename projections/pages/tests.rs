use std::collections::BTreeSet;

use chrono::TimeDelta;
use uuid::Uuid;
use zeroload_domain::{CollectReason, MediaId};

use crate::testing::contract::{Fixture, Kind, on_both};
use crate::{
    DueItem, PageOf, PageRequest, ReadModels,
    testing::{Journal, at, id, present, requested, started},
};

/// When everything that was requested is due.
const LATER: i64 = 1_000_000;

fn wanted(run: u128, page: u32, limit: u32) -> PageRequest {
    PageRequest {
        list: PageOf::Due,
        now: at(LATER),
        after: None,
        limit,
        run_id: Uuid::from_u128(run),
        page,
        held_for: TimeDelta::hours(1),
        clock: at(0),
    }
}

fn ids(items: Vec<DueItem>) -> Vec<MediaId> {
    items.into_iter().map(|item| item.media_id).collect()
}

async fn take(models: &ReadModels, wanted: PageRequest) -> Vec<MediaId> {
    ids(models.pages().take(wanted).await.unwrap())
}

async fn what_one_run_holds_no_other_is_given_and_the_lists_show_it_all_the_same(kind: Kind) {
    let fixture = Fixture::with(kind, &Journal::requests(5)).await;
    let models = &fixture.models;
    assert_eq!(take(models, wanted(1, 1, 2)).await, [id(0), id(1)]);
    assert_eq!(take(models, wanted(2, 1, 2)).await, [id(2), id(3)]);
    assert_eq!(take(models, wanted(1, 2, 2)).await, [id(4)], "nor is the run itself once more");
    assert_eq!(take(models, wanted(2, 2, 2)).await, []);
    assert_eq!(models.due(at(LATER), None, 9).await.unwrap().len(), 5);
}

async fn a_page_goes_on_from_where_the_last_one_ended(kind: Kind) {
    let fixture = Fixture::with(kind, &Journal::requests(5)).await;
    let models = &fixture.models;
    let first = models.pages().take(wanted(1, 1, 2)).await.unwrap();
    let after = first.last().map(|item| (item.collectable_at, item.media_id));
    assert_eq!(take(models, PageRequest { after, ..wanted(2, 1, 9) }).await, [id(2), id(3), id(4)]);
}

async fn a_run_that_is_not_heard_of_holds_nothing_when_its_time_is_over(kind: Kind) {
    let fixture = Fixture::with(kind, &Journal::requests(2)).await;
    let models = &fixture.models;
    let over = TimeDelta::zero();
    assert_eq!(take(models, PageRequest { held_for: over, ..wanted(1, 1, 9) }).await, [id(0), id(1)]);
    assert_eq!(take(models, PageRequest { held_for: over, ..wanted(2, 1, 9) }).await, [id(0), id(1)]);
    models.pages().keep(Uuid::from_u128(2), TimeDelta::hours(1), at(0)).await.unwrap();
    assert_eq!(take(models, wanted(3, 1, 9)).await, [], "one that goes on says so in time");
}

async fn what_was_given_back_is_held_until_the_read_models_have_come_to_its_record(kind: Kind) {
    let mut journal = Journal::requests(2);
    let fixture = Fixture::with(kind, &journal).await;
    let models = &fixture.models;
    let before = models.checkpoint().await.unwrap().position;
    assert_eq!(take(models, wanted(1, 1, 1)).await, [id(0)]);
    assert_eq!(take(models, wanted(1, 2, 1)).await, [id(1)]);
    models.pages().give_back(Uuid::from_u128(1), 1, before + 1).await.unwrap();
    assert_eq!(take(models, wanted(2, 1, 9)).await, []);
    models.pages().give_back(Uuid::from_u128(1), 2, before).await.unwrap();
    assert_eq!(take(models, wanted(2, 2, 9)).await, [id(1)], "of this one nothing is to come");

    journal.record(id(0), started(1, CollectReason::Expired, present("one")));
    models.apply(&journal.events, None).await.unwrap();
    assert_eq!(take(models, wanted(3, 1, 9)).await, []);
    assert_eq!(take(models, PageRequest { list: PageOf::Unfinished, ..wanted(3, 2, 9) }).await, [id(0)]);
}

async fn a_claim_is_unfinished_for_nobody_while_its_page_is_held(kind: Kind) {
    let mut journal = Journal::of([(id(1), requested(id(1)))]);
    let fixture = Fixture::with(kind, &journal).await;
    let models = &fixture.models;
    assert_eq!(take(models, wanted(1, 1, 9)).await, [id(1)]);
    journal.record(id(1), started(1, CollectReason::Expired, present("one")));
    models.apply(&journal.events, None).await.unwrap();
    assert_eq!(take(models, PageRequest { list: PageOf::Unfinished, ..wanted(2, 1, 9) }).await, []);
}

async fn many_runs_at_once_are_given_each_item_once(kind: Kind) {
    let fixture = Fixture::with(kind, &Journal::requests(300)).await;
    let models = match kind {
        // One process has all of them.
        Kind::Sqlite => vec![fixture.models.clone(); 4],
        Kind::Postgres => {
            vec![fixture.another().await, fixture.another().await, fixture.another().await, fixture.another().await]
        }
    };
    let runs = models.into_iter().zip(1..).map(|(models, run)| {
        tokio::spawn(async move {
            let mut given = Vec::new();
            for page in 1.. {
                match take(&models, wanted(run, page, 7)).await {
                    page if page.is_empty() => break,
                    page => given.extend(page),
                }
            }
            given
        })
    });
    let mut given = Vec::new();
    for run in runs.collect::<Vec<_>>() {
        given.extend(run.await.unwrap());
    }
    assert_eq!((given.len(), given.into_iter().collect::<BTreeSet<_>>().len()), (300, 300));
}

on_both!(
    what_one_run_holds_no_other_is_given_and_the_lists_show_it_all_the_same,
    a_page_goes_on_from_where_the_last_one_ended,
    a_run_that_is_not_heard_of_holds_nothing_when_its_time_is_over,
    what_was_given_back_is_held_until_the_read_models_have_come_to_its_record,
    a_claim_is_unfinished_for_nobody_while_its_page_is_held,
    many_runs_at_once_are_given_each_item_once,
);
