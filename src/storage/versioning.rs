//! Whether the bucket keeps versions: then a plain delete frees nothing, and proves nothing gone (P-7).

use aws_sdk_s3::types::BucketVersioningStatus;

use super::{error::StorageError, gateway::Gateway};

impl Gateway {
    /// Whether versions are kept, or were kept before versioning was suspended.
    ///
    /// # Errors
    /// [`StorageError`] when the server does not say.
    pub async fn versioned(&self) -> Result<bool, StorageError> {
        let asked = self.client().get_bucket_versioning().bucket(self.bucket().as_str());
        let answer = match asked.send().await.map_err(|error| StorageError::from(&error)) {
            // A server without versions need not know the question.
            Err(error) if error.code() == Some("NotImplemented") => return Ok(false),
            answer => answer?,
        };
        Ok(matches!(answer.status(), Some(BucketVersioningStatus::Enabled | BucketVersioningStatus::Suspended)))
    }
}
