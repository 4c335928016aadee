//! `DeleteObject` and `DeleteObjects`: the rows are deleted in one transaction, then the files.

use s3s::dto::{
    DeleteObjectInput, DeleteObjectOutput, DeleteObjectsInput, DeleteObjectsOutput, DeletedObject, Error as KeyError,
    ObjectIdentifier,
};
use s3s::{S3Error, S3Request, S3Result, s3_error};

use super::backend::{Backend, internal};
use super::conditions::WriteCondition;
use super::faults::Manner;
use super::objects::only_version;
use super::write::{Outcome, Write};

/// S3's limit for one `DeleteObjects`.
const MAX_KEYS: usize = 1000;

impl Backend {
    pub(super) async fn delete_object(&self, request: S3Request<DeleteObjectInput>) -> S3Result<DeleteObjectOutput> {
        let DeleteObjectInput { bucket, key, if_match, if_match_last_modified_time, if_match_size, version_id, .. } =
            request.input;
        only_version(version_id.as_deref())?;
        if if_match.is_some() && self.faults.has(Manner::RefusesConditions) {
            return Err(s3_error!(
                NotImplemented,
                "a header you provided implies functionality that is not implemented"
            ));
        }
        if if_match_last_modified_time.is_some() || if_match_size.is_some() {
            return Err(s3_error!(NotImplemented, "a delete can only depend on the etag"));
        }
        self.require_bucket(&bucket).await?;
        let condition = WriteCondition::if_match(if_match);
        match self.writer.write(Write::Delete { bucket, key, condition }).await.map_err(internal)? {
            Outcome::Unmet(unmet) => Err(unmet.into()),
            _ => Ok(DeleteObjectOutput::default()),
        }
    }

    pub(super) async fn delete_objects(&self, request: S3Request<DeleteObjectsInput>) -> S3Result<DeleteObjectsOutput> {
        let DeleteObjectsInput { bucket, delete, .. } = request.input;
        if delete.objects.is_empty() || delete.objects.len() > MAX_KEYS {
            return Err(s3_error!(MalformedXML, "a request names 1 to {MAX_KEYS} keys"));
        }
        self.require_bucket(&bucket).await?;
        if !request.headers.contains_key("content-md5") && self.faults.has(Manner::WantsContentMd5) {
            return Err(s3_error!(InvalidRequest, "missing required header for this request: Content-MD5"));
        }
        if let Some(refusal) = delete.objects.iter().find_map(|object| self.faults.refuse_call(&object.key)) {
            return Err(S3Error::with_message(refusal.code(), "a scripted fault"));
        }
        let mut errors = Vec::new();
        let mut keys = Vec::with_capacity(delete.objects.len());
        for object in delete.objects {
            match self.accept_key(object) {
                Ok(accepted) => keys.push(accepted),
                Err(error) => errors.push(error),
            }
        }
        let mut deleted = Vec::with_capacity(keys.len());
        if !keys.is_empty() {
            let names: Vec<_> = keys.iter().map(|(key, _)| key.clone()).collect();
            let outcome = self.writer.write(Write::DeleteMany { bucket, keys }).await.map_err(internal)?;
            let Outcome::Many(answers) = outcome else {
                return Err(s3_error!(InternalError));
            };
            for (key, answer) in names.into_iter().zip(answers) {
                match answer {
                    Ok(()) => deleted.push(DeletedObject { key: Some(key), ..DeletedObject::default() }),
                    Err(unmet) => errors.push(key_error(key, &unmet.into())),
                }
            }
        }
        let quiet = delete.quiet.unwrap_or(false);
        Ok(DeleteObjectsOutput {
            deleted: (!quiet && !deleted.is_empty()).then_some(deleted),
            errors: (!errors.is_empty()).then_some(errors),
            ..DeleteObjectsOutput::default()
        })
    }

    fn accept_key(&self, object: ObjectIdentifier) -> Result<(String, WriteCondition), KeyError> {
        let key = object.key;
        let refusal = if let Some(refusal) = self.faults.refuse_key(&key) {
            Err(S3Error::with_message(refusal.code(), "a scripted fault"))
        } else if object.size.is_some() || object.last_modified_time.is_some() {
            Err(s3_error!(NotImplemented, "a delete can only depend on the etag"))
        } else {
            only_version(object.version_id.as_deref())
        };
        match refusal {
            Ok(()) => Ok((key, WriteCondition::if_match(object.e_tag.map(s3s::dto::ETagCondition::ETag)))),
            Err(error) => Err(key_error(key, &error)),
        }
    }
}

fn key_error(key: String, error: &S3Error) -> KeyError {
    KeyError {
        code: Some(error.code().as_str().to_owned()),
        message: error.message().map(str::to_owned),
        key: Some(key),
        version_id: None,
    }
}
