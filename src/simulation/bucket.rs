//! What the simulated S3 server holds, and how it answers. Each call happens at one moment.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use zeroload_domain::{MediaId, ObjectKey};

use super::{promises::Promises, sim::Sim};

/// How the key of the bucket's marker ends.
const MARKER: &str = "/.zeroload";

/// What a request asks for.
#[derive(Clone, Debug)]
pub struct Asked {
    pub method: String,
    pub key: String,
    pub query: String,
    /// `If-None-Match: *` was sent.
    pub only_if_absent: bool,
    /// `If-Match`.
    pub only_over: Option<String>,
    pub content_type: String,
    /// What a `CopyObject` copies, and the ETag that it must have.
    pub copied: Option<(String, String)>,
    pub body: Vec<u8>,
}

impl Asked {
    /// The keys of a `DeleteObjects` call; none for any other.
    pub fn deletes(&self) -> Vec<String> {
        if self.method != "POST" || !self.query.starts_with("delete") {
            return Vec::new();
        }
        let body = String::from_utf8_lossy(&self.body).into_owned();
        body.split("<Key>").skip(1).filter_map(|part| Some(part.split_once("</Key>")?.0.to_owned())).collect()
    }
}

/// An HTTP answer.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn with(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: Vec::new(), body: body.into() }
    }

    pub fn refusal(status: u16, code: &str) -> Self {
        let refusal = Self::with(status, format!("<Error><Code>{code}</Code><Message>no</Message></Error>"));
        Self { headers: vec![("x-amz-request-id", "of-the-bucket".to_owned())], ..refusal }
    }
}

#[derive(Clone)]
struct Object {
    etag: String,
    content_type: String,
    bytes: Vec<u8>,
}

/// One bucket.
#[derive(Clone)]
pub struct Bucket {
    sim: Sim,
    promises: Promises,
    objects: Arc<Mutex<BTreeMap<String, Object>>>,
}

impl Bucket {
    pub fn new(sim: Sim, promises: Promises) -> Self {
        Self { sim, promises, objects: Arc::default() }
    }

    fn objects(&self) -> MutexGuard<'_, BTreeMap<String, Object>> {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn holds(&self, key: &ObjectKey) -> bool {
        self.objects().contains_key(key.as_str())
    }

    /// Whether the trash has something of an item.
    pub fn has_in_trash(&self, id: MediaId) -> bool {
        let in_trash = |key: &String| {
            key.contains("/.trash/") && ObjectKey::parse(key.as_str()).is_ok_and(|key| key.media_id() == id)
        };
        self.objects().keys().any(in_trash)
    }

    /// Somebody sends a request: what a delete needs must be true already.
    pub fn sent(&self, asked: &Asked) {
        asked.deletes().iter().filter_map(|key| ObjectKey::parse(key.as_str()).ok()).for_each(|key| {
            self.promises.deleting(&key, false);
        });
    }

    /// The request takes place.
    pub fn carry_out(&self, asked: &Asked) -> Answer {
        let answer = match asked.method.as_str() {
            "GET" if asked.query.starts_with("versioning") => Answer::with(200, "<VersioningConfiguration/>"),
            "GET" if !asked.key.is_empty() => self.get(&asked.key),
            "HEAD" => Answer { body: Vec::new(), ..self.get(&asked.key) },
            "PUT" if asked.copied.is_some() => self.copy(asked),
            "PUT" => self.put(asked),
            "POST" if asked.query.starts_with("delete") => self.delete(asked.deletes()),
            _ => Answer::refusal(501, "NotImplemented"),
        };
        let names = if asked.key.is_empty() { asked.deletes().join(" ") } else { asked.key.clone() };
        self.sim.note(|| format!("bucket: {} {names} {} -> {}", asked.method, asked.query, answer.status));
        answer
    }

    fn get(&self, key: &str) -> Answer {
        let Some(object) = self.objects().get(key).cloned() else { return Answer::refusal(404, "NoSuchKey") };
        let headers = vec![
            ("etag", format!("\"{}\"", object.etag)),
            ("content-length", object.bytes.len().to_string()),
            ("content-type", object.content_type),
        ];
        Answer { headers, ..Answer::with(200, object.bytes) }
    }

    fn put(&self, asked: &Asked) -> Answer {
        let mut objects = self.objects();
        if asked.only_if_absent && objects.contains_key(&asked.key) {
            return Answer::refusal(412, "PreconditionFailed");
        }
        match (&asked.only_over, objects.get(&asked.key)) {
            (Some(_), None) => return Answer::refusal(404, "NoSuchKey"),
            (Some(etag), Some(object)) if *etag != object.etag => return Answer::refusal(412, "PreconditionFailed"),
            _ => {}
        }
        if asked.key.ends_with(MARKER) {
            self.promises.marked(&asked.body);
        }
        let etag = format!("etag-{}", self.sim.below(1_000_000_000));
        let object = Object { etag, content_type: asked.content_type.clone(), bytes: asked.body.clone() };
        self.promises.stored(&asked.key, &object.etag);
        objects.insert(asked.key.clone(), object);
        Answer::with(200, "")
    }

    fn copy(&self, asked: &Asked) -> Answer {
        let mut objects = self.objects();
        let (key, etag) = asked.copied.as_ref().expect("it names a source");
        let Some(object) = objects.get(key).cloned() else { return Answer::refusal(404, "NoSuchKey") };
        if object.etag != *etag {
            return Answer::refusal(412, "PreconditionFailed");
        }
        let answer = format!("<CopyObjectResult><ETag>&quot;{etag}&quot;</ETag></CopyObjectResult>");
        self.promises.stored(&asked.key, etag);
        objects.insert(asked.key.clone(), object);
        Answer::with(200, answer)
    }

    fn delete(&self, keys: Vec<String>) -> Answer {
        let mut body = "<DeleteResult>".to_owned();
        for key in keys {
            let refused = self.sim.trouble(6);
            // Its work was done, and the server says that it failed, or leaves the key out.
            let (slandered, unnamed) = (self.sim.trouble(4), self.sim.trouble(4));
            if !refused {
                self.objects().remove(&key);
                if let Ok(key) = ObjectKey::parse(key.as_str()) {
                    self.promises.deleting(&key, true);
                }
            }
            if refused || slandered {
                let code = ["InternalError", "SlowDown", "AccessDenied"][self.sim.below(3) as usize];
                body += &format!("<Error><Key>{key}</Key><Code>{code}</Code></Error>");
            } else if !unnamed {
                body += &format!("<Deleted><Key>{key}</Key></Deleted>");
            }
        }
        Answer::with(200, body + "</DeleteResult>")
    }
}
