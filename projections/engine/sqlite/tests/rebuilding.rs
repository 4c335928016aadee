use super::{Fixture, rows};
use crate::testing::Journal;

#[tokio::test]
async fn a_rebuild_removes_what_a_changed_or_added_row_was() {
    let journal = Journal::requests(20);
    let fixture = Fixture::with(&journal).await;
    sqlx::query("UPDATE media_v1 SET owner = 'mallory'").execute(fixture.writer()).await.unwrap();
    sqlx::query("DELETE FROM media_v1 WHERE position > 10").execute(fixture.writer()).await.unwrap();
    assert_ne!(rows(&fixture.models).await, journal.rows());
    let rebuild = fixture.models.begin_rebuild().await.unwrap();
    rebuild.apply(&journal.events, None).await.unwrap();
    rebuild.swap().await.unwrap();
    assert_eq!(rows(&fixture.models).await, journal.rows());
}
