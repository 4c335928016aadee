//! What every background job works with.

use std::sync::Arc;

use zeroload_clock::{Clock, Ids};
use zeroload_journal::Journal;
use zeroload_projections::ReadModels;

use super::projector::Projector;
use crate::{
    media::{bucket::BucketGuard, commands::Commands, late_uploads::LateUploads},
    storage::Gateway,
};

/// Cheap to clone; clones lead to the same journal, bucket and read models.
#[derive(Clone)]
pub struct Handles {
    pub commands: Commands,
    pub late_uploads: LateUploads,
    pub journal: Journal,
    pub gateway: Gateway,
    pub guard: Arc<BucketGuard>,
    pub read_models: ReadModels,
    pub projector: Arc<Projector>,
    pub clock: Clock,
    pub ids: Ids,
}
