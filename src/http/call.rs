//! The caller of a request and its values. Each value is checked here, and a refusal names the field.

use std::{collections::BTreeMap, fmt::Display, ops::RangeInclusive, str::FromStr};

use actix_web::{
    FromRequest, HttpMessage, HttpRequest,
    dev::Payload,
    http::header::{self, HeaderValue},
    web,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use percent_encoding::percent_decode_str;
use serde::{Deserialize, de::DeserializeOwned};
use zeroload_domain::{IdempotencyKey, MediaId, Tenant};

use super::{
    Api, Problem, Role, body,
    connection::Hangup,
    edge::{Body, RequestId},
    paths,
};
use crate::media::commands::Origin;

/// An authenticated request.
pub struct Call {
    pub tenant: Tenant,
    caller: String,
    role: Role,
    pub request_id: String,
    request: HttpRequest,
    body: bytes::Bytes,
}

impl FromRequest for Call {
    type Error = Problem;
    type Future = std::future::Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        std::future::ready(Self::new(request))
    }
}

impl Call {
    fn new(request: &HttpRequest) -> Result<Self, Problem> {
        let api = request.app_data::<web::Data<Api>>().ok_or_else(Problem::internal)?;
        // Two `Authorization` headers are refused: a proxy in front may have checked the other one.
        let authorization = once(request, header::AUTHORIZATION.as_str(), "Authorization")?;
        let (tenant, caller, role) = match api.keys.current() {
            None => (Tenant::parse("default")?, "anonymous".to_owned(), Role::Operator),
            Some(keys) => {
                let may_be_basic = request.match_pattern().as_deref() == Some(paths::notifications::PATH);
                let authorization = authorization.and_then(|value| value.to_str().ok());
                let presented = match authorization.and_then(bearer) {
                    None if may_be_basic => authorization.and_then(basic_password),
                    bearer => bearer.map(str::to_owned),
                };
                let key = presented.as_deref().and_then(|presented| keys.find(presented));
                let key = key.ok_or_else(|| Problem::unauthorized(may_be_basic))?;
                (key.tenant.clone(), key.name.clone(), key.role)
            }
        };
        let extensions = request.extensions();
        Ok(Self {
            tenant,
            caller,
            role,
            request_id: extensions.get::<RequestId>().map(|id| id.0.clone()).unwrap_or_default(),
            body: extensions.get::<Body>().map(|body| body.0.clone()).unwrap_or_default(),
            request: request.clone(),
        })
    }

    /// Refuses a caller whose role is not among `roles`; an operator may do everything.
    pub fn allow(&self, roles: &[Role]) -> Result<(), Problem> {
        if self.role == Role::Operator || roles.contains(&self.role) {
            return Ok(());
        }
        let detail = format!("API key {} lacks a role for this call", self.caller);
        Err(Problem::new(403, "forbidden", detail))
    }

    /// The name of the key, or `anonymous` where no keys are set.
    pub fn caller(&self) -> &str {
        &self.caller
    }

    /// Whether the caller may see the whole service, and not its tenant alone.
    pub fn is_operator(&self) -> bool {
        self.role == Role::Operator
    }

    pub fn origin(&self, route: &'static str) -> Origin {
        Origin { request_id: self.request_id.clone(), caller: self.caller.clone(), route }
    }

    /// The `{id}` of the path.
    pub fn id(&self) -> Result<MediaId, Problem> {
        Ok(MediaId::parse(self.request.match_info().query("id"))?)
    }

    pub fn idempotency_key(&self) -> Result<Option<IdempotencyKey>, Problem> {
        let value = once(&self.request, "idempotency-key", "Idempotency-Key")?;
        // A value that is not ASCII is refused like an empty one.
        Ok(value.map(|value| IdempotencyKey::parse(value.to_str().unwrap_or_default())).transpose()?)
    }

    /// Ends when the client has gone, or has ended its side of the connection.
    pub async fn hangup(&self) {
        match self.request.conn_data::<Hangup>().cloned() {
            Some(hangup) => hangup.wait().await,
            None => std::future::pending().await,
        }
    }

    /// The JSON body.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        let content_type = once(&self.request, header::CONTENT_TYPE.as_str(), "Content-Type")?;
        let content_type = content_type.and_then(|value| value.to_str().ok());
        let essence = content_type.and_then(|value| value.split(';').next()).unwrap_or_default().trim();
        if !essence.eq_ignore_ascii_case("application/json") {
            return Err(Problem::new(415, "unsupported-media-type", "send the body as Content-Type: application/json"));
        }
        self.no_coding()?;
        body::parse(&self.body)
    }

    /// The body of a call whose senders set no usable `Content-Type`.
    pub fn plain_body(&self) -> Result<&[u8], Problem> {
        self.no_coding()?;
        Ok(&self.body)
    }

    fn no_coding(&self) -> Result<(), Problem> {
        if self.request.headers().get_all(header::CONTENT_ENCODING).any(|coding| coding != "identity") {
            return Err(Problem::new(415, "unsupported-media-type", "send the body without Content-Encoding"));
        }
        Ok(())
    }

    /// The JSON body of a call that has a sensible meaning without one.
    pub fn optional_json<T: DeserializeOwned + Default>(&self) -> Result<T, Problem> {
        if self.body.is_empty() { Ok(T::default()) } else { self.json() }
    }

    /// Refuses values that the call would ignore: parameters, and a body with more than `{}`.
    pub fn nothing_else(&self) -> Result<(), Problem> {
        #[derive(Default, Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Nothing {}

        let Nothing {} = self.optional_json()?;
        self.no_parameters()
    }

    /// Refuses parameters on a call that has none: a client that writes `?dry_run=true` there must not believe that it
    /// has an effect.
    pub fn no_parameters(&self) -> Result<(), Problem> {
        self.query()?.finish()
    }

    pub fn query(&self) -> Result<Query, Problem> {
        let text = self.request.query_string();
        if text.is_empty() {
            return Ok(Query(BTreeMap::new()));
        }
        if !decodes_to_text(text) {
            return Err(Problem::invalid("query", "the query must be UTF-8"));
        }
        let parsed = web::Query::<Vec<(String, String)>>::from_query(text);
        let pairs = parsed.map_err(|error| Problem::invalid("query", format!("the query is malformed: {error}")))?;
        let mut values = BTreeMap::new();
        for (name, value) in pairs.into_inner() {
            if values.insert(name.clone(), value).is_some() {
                return Err(Problem::invalid(name.clone(), format!("{name} is given twice")));
            }
        }
        Ok(Query(values))
    }
}

/// The value of a header that may be given only once.
fn once<'a>(request: &'a HttpRequest, name: &str, shown: &'static str) -> Result<Option<&'a HeaderValue>, Problem> {
    let mut values = request.headers().get_all(name);
    match (values.next(), values.next()) {
        (_, Some(_)) => Err(Problem::invalid(shown, format!("{shown} must be given once"))),
        (value, None) => Ok(value),
    }
}

fn bearer(authorization: &str) -> Option<&str> {
    let (scheme, key) = authorization.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(key.trim())
}

/// The password of HTTP basic authentication, which is the API key: SNS can send no other credentials than a name and a
/// password in the subscription's address.
fn basic_password(authorization: &str) -> Option<String> {
    let (scheme, encoded) = authorization.split_once(' ')?;
    let decoded = scheme.eq_ignore_ascii_case("basic").then(|| STANDARD.decode(encoded.trim()).ok()).flatten()?;
    let (_, password) = std::str::from_utf8(&decoded).ok()?.split_once(':')?;
    Some(password.to_owned())
}

/// Whether a query is UTF-8. The query's parser would replace other bytes by U+FFFD, and a filter would then search for
/// that character.
fn decodes_to_text(query: &str) -> bool {
    percent_decode_str(query).decode_utf8().is_ok()
}

/// The parameters behind the `?`. [`Query::finish`] refuses those that were not taken.
pub struct Query(BTreeMap<String, String>);

impl Query {
    pub fn take<T>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(&str) -> Result<T, Problem>,
    ) -> Result<Option<T>, Problem> {
        self.0.remove(name).map(|raw| parse(&raw)).transpose()
    }

    pub fn number<T: FromStr + PartialOrd + Display>(
        &mut self,
        name: &'static str,
        allowed: RangeInclusive<T>,
    ) -> Result<Option<T>, Problem> {
        self.take(name, |raw| match raw.parse() {
            Ok(number) if allowed.contains(&number) => Ok(number),
            _ => {
                let (least, most) = (allowed.start(), allowed.end());
                Err(Problem::invalid(name, format!("{name} must be a whole number from {least} to {most}")))
            }
        })
    }

    pub fn finish(self) -> Result<(), Problem> {
        match self.0.into_keys().next() {
            None => Ok(()),
            Some(name) if name.is_empty() => Err(Problem::invalid("query", "a parameter must have a name")),
            Some(name) => Err(Problem::invalid(name.clone(), format!("{name:?} is no parameter of this call"))),
        }
    }
}
