//! The S3 operations of this server. Operations on objects are in [`super::put`], [`super::copy`], [`super::objects`],
//! [`super::deletes`] and [`super::listing`].

use std::sync::Arc;

use futures_util::future::BoxFuture;
use s3s::dto::{
    Bucket, BucketVersioningStatus, CopyObjectInput, CopyObjectOutput, CreateBucketInput, CreateBucketOutput,
    DeleteObjectInput, DeleteObjectOutput, DeleteObjectsInput, DeleteObjectsOutput, GetBucketLocationInput,
    GetBucketLocationOutput, GetBucketVersioningInput, GetBucketVersioningOutput, GetObjectInput, GetObjectOutput,
    HeadBucketInput, HeadBucketOutput, HeadObjectInput, HeadObjectOutput, ListBucketsInput, ListBucketsOutput,
    ListObjectsV2Input, ListObjectsV2Output, PutObjectInput, PutObjectOutput,
};
use s3s::{S3, S3Error, S3Request, S3Response, S3Result, s3_error};

use super::blobs::Blobs;
use super::bounds::Admission;
use super::conditions::timestamp;
use super::exchange::Exchange;
use super::faults::Faults;
use super::index::Index;
use super::now_ms;
use super::write::{Outcome, Write};
use super::writer::Writer;

#[derive(Clone)]
pub(super) struct Backend {
    pub blobs: Arc<Blobs>,
    pub index: Index,
    pub writer: Writer,
    pub faults: Faults,
    pub admission: Admission,
}

/// A 500 for an error of the server, not of the client.
pub(super) fn internal(error: impl std::error::Error + Send + Sync + 'static) -> S3Error {
    S3Error::internal_error(error)
}

/// Implements the trait, with the signatures that `async_trait` makes, and leaves the cause of a 500 in the request's
/// [`Exchange`] for the outermost layer to log.
macro_rules! operations {
    ($($name:ident: $input:ty => $output:ty;)*) => {
        impl S3 for Backend {
            $(fn $name<'life0, 'async_trait>(
                &'life0 self,
                request: S3Request<$input>,
            ) -> BoxFuture<'async_trait, S3Result<S3Response<$output>>>
            where
                'life0: 'async_trait,
                Self: 'async_trait,
            {
                let exchange = request.extensions.get::<Exchange>().cloned();
                Box::pin(async move {
                    let result = Backend::$name(self, request).await;
                    if let (Err(error), Some(exchange)) = (&result, exchange)
                        && let (s3s::S3ErrorCode::InternalError, Some(cause)) = (error.code(), error.source())
                    {
                        exchange.fail(format_args!("{}: {cause}", stringify!($name)));
                    }
                    result.map(S3Response::new)
                })
            })*
        }
    };
}

operations! {
    put_object: PutObjectInput => PutObjectOutput;
    copy_object: CopyObjectInput => CopyObjectOutput;
    get_object: GetObjectInput => GetObjectOutput;
    head_object: HeadObjectInput => HeadObjectOutput;
    delete_object: DeleteObjectInput => DeleteObjectOutput;
    delete_objects: DeleteObjectsInput => DeleteObjectsOutput;
    list_objects_v2: ListObjectsV2Input => ListObjectsV2Output;
    list_buckets: ListBucketsInput => ListBucketsOutput;
    create_bucket: CreateBucketInput => CreateBucketOutput;
    head_bucket: HeadBucketInput => HeadBucketOutput;
    get_bucket_location: GetBucketLocationInput => GetBucketLocationOutput;
    get_bucket_versioning: GetBucketVersioningInput => GetBucketVersioningOutput;
}

impl Backend {
    /// Fails if there is no such bucket. Buckets are never deleted, so the result stays true for the rest of the
    /// request.
    pub(super) async fn require_bucket(&self, bucket: &str) -> S3Result<()> {
        if self.index.bucket_exists(bucket).await.map_err(internal)? {
            Ok(())
        } else {
            Err(s3_error!(NoSuchBucket, "the specified bucket does not exist"))
        }
    }

    async fn list_buckets(&self, _: S3Request<ListBucketsInput>) -> S3Result<ListBucketsOutput> {
        let buckets = self.index.buckets().await.map_err(internal)?;
        let buckets = buckets.into_iter().map(|(name, created_at)| Bucket {
            name: Some(name),
            creation_date: Some(timestamp(created_at)),
            ..Bucket::default()
        });
        Ok(ListBucketsOutput { buckets: Some(buckets.collect()), ..ListBucketsOutput::default() })
    }

    async fn create_bucket(&self, request: S3Request<CreateBucketInput>) -> S3Result<CreateBucketOutput> {
        let name = request.input.bucket;
        let location = format!("/{name}");
        match self.writer.write(Write::CreateBucket { name, now_ms: now_ms() }).await.map_err(internal)? {
            Outcome::AlreadyThere => Err(s3_error!(BucketAlreadyOwnedByYou, "you have this bucket already")),
            _ => Ok(CreateBucketOutput { location: Some(location) }),
        }
    }

    async fn head_bucket(&self, request: S3Request<HeadBucketInput>) -> S3Result<HeadBucketOutput> {
        self.require_bucket(&request.input.bucket).await?;
        Ok(HeadBucketOutput::default())
    }

    async fn get_bucket_location(
        &self,
        request: S3Request<GetBucketLocationInput>,
    ) -> S3Result<GetBucketLocationOutput> {
        self.require_bucket(&request.input.bucket).await?;
        Ok(GetBucketLocationOutput::default())
    }

    async fn get_bucket_versioning(
        &self,
        request: S3Request<GetBucketVersioningInput>,
    ) -> S3Result<GetBucketVersioningOutput> {
        self.require_bucket(&request.input.bucket).await?;
        let status = self
            .faults
            .reports_versioned()
            .then(|| BucketVersioningStatus::from_static(BucketVersioningStatus::ENABLED));
        Ok(GetBucketVersioningOutput { status, ..GetBucketVersioningOutput::default() })
    }
}
